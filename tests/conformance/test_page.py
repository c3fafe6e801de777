"""The page at /ui/ in a real browser, against a member that runs."""

import http.client
import json
import unittest
from urllib.parse import quote

from browser import Browser
from member import Cluster, eventually

# What strangers may call their things. Any of it that runs says so.
ELEMENT = '<img src="x" onerror="window.ran = true">'
SCRIPT = "</script><script>window.ran = true</script>"
TAB, ENTER = "\ue004", "\ue007"


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(settings=["ui.enabled=true"]))
        [cls.member] = cls.cluster.members
        cls.browser = cls.enterClassContext(Browser())

    @classmethod
    def enterClassContext(cls, context):
        # As Python 3.11 has it.
        entered = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)
        return entered

    def put(self, path, body=b""):
        """Puts something where the page will find it; the answer as JSON."""
        connection = http.client.HTTPConnection(*self.member.http_address, timeout=30)
        try:
            text = body if isinstance(body, (bytes, str)) else json.dumps(body)
            connection.request("PUT", path, text if isinstance(text, bytes) else text.encode())
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        self.assertEqual(answer.status, 200, text)
        return json.loads(text or b"null")

    def register(self, name, number=1, **more):
        service = {"Name": name, "ID": f"{name}-{number}", "Port": 8000 + number, **more}
        self.put("/v1/agent/service/register", service)

    def open(self, path):
        self.browser.open(f"http://{self.member.http}{path}")

    def no_complaints(self):
        self.assertEqual(self.browser.complaints(), [])

    def row(self, name):
        """What the table says beside a name."""
        script = """
            const link = [...document.querySelectorAll("td a")].find((a) => a.innerText === arguments[0]);
            return link ? [...link.closest("tr").cells].map((cell) => cell.innerText) : null;
        """
        return self.browser.run(script, name)

    def test_a_service_shows_with_its_health_and_changes_while_one_looks(self):
        self.open("/")
        self.browser.shows("consul", "tbody")
        self.assertEqual(self.browser.run("return location.pathname"), "/ui/")
        check = {"CheckID": "shop", "Name": "answers", "TTL": "600s", "Status": "passing"}
        self.register("shop", Tags=["green"], Check=check)
        eventually("it shows", lambda: self.row("shop") == ["shop", "2 passing", "1", "green"])
        self.put("/v1/agent/check/fail/shop?note=" + quote("out of goods"))
        failed = ["shop", "1 critical 1 passing", "1", "green"]
        eventually("it fails", lambda: self.row("shop") == failed)
        self.browser.follow("shop")
        self.browser.shows("out of goods", ".check pre")
        self.assertEqual(self.browser.text("h1"), "shop")
        self.register("shop", 2)
        self.browser.shows("shop-2", ".cards")
        self.put("/v1/agent/service/deregister/shop-1")
        self.put("/v1/agent/service/deregister/shop-2")
        self.browser.shows("No instance of it is registered.", ".view")
        self.no_complaints()

    def test_what_strangers_write_is_shown_and_never_run(self):
        hostile = f"{ELEMENT}{SCRIPT}"
        self.put("/v1/catalog/register", {
            "Node": ELEMENT, "Address": SCRIPT, "NodeMeta": {"a": hostile},
            "Service": {
                "ID": SCRIPT, "Service": ELEMENT, "Tags": [hostile], "Meta": {"b": hostile},
                "DependsOn": [{"Name": SCRIPT, "Tag": hostile}],
            },
            "Checks": [{
                "CheckID": "c", "Name": hostile, "Status": "critical", "Output": hostile,
                "Notes": hostile, "ServiceID": SCRIPT,
            }],
        })
        session = self.put("/v1/session/create", {"Name": hostile})["ID"]
        key = quote(ELEMENT, safe="")
        self.put(f"/v1/kv/{key}", SCRIPT)
        self.put(f"/v1/kv/{key}%2F{key}", SCRIPT)
        shown = [
            ("/ui/services", ELEMENT, hostile),
            (f"/ui/services?name={key}", ELEMENT, hostile),
            ("/ui/graph", ELEMENT, SCRIPT),
            (f"/ui/graph?name={key}", ELEMENT, hostile),
            ("/ui/nodes", ELEMENT, SCRIPT),
            (f"/ui/nodes?name={key}", ELEMENT, hostile),
            ("/ui/keys", ELEMENT, f"{ELEMENT}/"),
            (f"/ui/keys?prefix={key}%2F", ELEMENT, ELEMENT),
            (f"/ui/keys?key={key}", ELEMENT, SCRIPT),
            ("/ui/sessions", hostile, hostile),
            (f"/ui/sessions?id={session}", hostile, hostile),
        ]
        for path, first, second in shown:
            with self.subTest(path):
                self.open(path)
                self.browser.shows(first, "main")
                self.browser.shows(second, "main")
                strays = "return document.querySelectorAll('main :is(img, script, iframe)').length"
                self.assertEqual(self.browser.run(strays), 0)
                self.assertIsNone(self.browser.run("return window.ran ?? null"))
                # Nor did anything try that the policy had to stop.
                self.no_complaints()

    def test_the_policy_stops_what_the_page_would_let_through(self):
        self.open("/ui/members")
        self.browser.shows("leader", "tbody")
        markup = """
            try { document.querySelector("main").innerHTML = arguments[0]; return "set" }
            catch (error) { return error.name }
        """
        self.assertEqual(self.browser.run(markup, ELEMENT), "TypeError")
        inline = """
            const element = document.createElement("script");
            try { element.textContent = "window.ran = true" } catch {}
            element.append("window.ran = true");
            document.body.append(element);
            return window.ran ?? null;
        """
        self.assertIsNone(self.browser.run(inline))
        elsewhere = """
            const image = new Image();
            image.src = "http://127.0.0.1:1/picture";
            document.body.append(image);
        """
        self.browser.run(elsewhere)
        said = []

        def refused():
            said.extend(self.browser.complaints())
            return any("img-src" in line for line in said)

        eventually("the picture is refused", refused)
        self.assertIn("TrustedHTML", " ".join(said))
        self.assertIsNone(self.browser.run("return window.ran ?? null"))

    def test_keys_are_browsed_and_values_shown_as_text_or_bytes(self):
        session = self.put("/v1/session/create", {"Name": "holder"})["ID"]
        flags = 0x2DDCCBC058A50C18
        self.put(f"/v1/kv/site/north/colour?acquire={session}&flags={flags}", "grün")
        self.put("/v1/kv/site/bytes", bytes([0, 255, 16, 65]))
        self.put("/v1/kv/site/north//odd", "slashes")
        self.open("/ui/keys")
        self.browser.follow("site/")
        self.browser.shows("north/", ".keys")
        self.assertEqual(self.browser.text(".keys"), "bytes\nnorth/")
        self.browser.follow("north/")
        self.browser.follow("colour")
        self.browser.shows("grün", "pre")
        about = self.browser.text(".facts")
        for fact in ["5 bytes", f"{flags} (0x{flags:x})", session]:
            self.assertIn(fact, about)
        self.put("/v1/kv/site/north/colour", "blau")
        self.browser.shows("blau", "pre")
        self.put(f"/v1/kv/site/north/colour?release={session}", "rot")
        self.browser.shows("nobody", ".facts")
        self.browser.run("document.querySelector('.bar button:nth-of-type(2)').click()")
        self.assertIn("72 6f 74", self.browser.text("pre"))
        self.browser.run("history.back()")
        self.browser.shows("colour", ".keys")
        self.browser.follow("/")
        self.browser.follow("odd")
        self.browser.shows("slashes", "pre")
        self.open("/ui/keys?key=site/bytes")
        self.browser.shows("00 ff 10 41", "pre")
        self.no_complaints()
        self.open("/ui/keys?key=site/later")
        self.browser.shows("There is no such key.", ".view")
        self.put("/v1/kv/site/later", "here")
        self.browser.shows("here", "pre")
        # A browser writes every 404 down, expected or not.
        [missing] = self.browser.complaints()
        self.assertIn("404", missing)

    def test_who_takes_part_and_who_leads_is_told(self):
        self.open("/ui/members")
        self.browser.shows("leader", "tbody")
        self.browser.shows("Znodes", ".view")
        self.assertIn("(this one)", self.browser.text("tbody"))
        self.assertRegex(self.browser.text(".view"), r"Applied index\s+\d+")
        self.no_complaints()

    def test_one_question_waits_at_a_time_and_only_this_member_is_asked(self):
        count = """
            const genuine = window.fetch;
            window.waiting = window.most = 0;
            window.fetch = async (path, options) => {
                if (!path.includes("index=")) return genuine(path, options);
                window.most = Math.max(window.most, ++window.waiting);
                try { return await genuine(path, options); } finally { window.waiting -= 1; }
            };
        """
        added = self.browser.devtools("Page.addScriptToEvaluateOnNewDocument", {"source": count})
        try:
            self.open("/ui/services")
            for view in ["Nodes", "Keys", "Sessions", "Services"]:
                self.browser.follow(view)
                waits = f"a question of {view} waits"
                now = f"return window.waiting === 1 && document.querySelector('h1').innerText === '{view}'"
                eventually(waits, lambda now=now: self.browser.run(now))
            self.assertEqual(self.browser.run("return window.most"), 1)
        finally:
            self.browser.devtools("Page.removeScriptToEvaluateOnNewDocument", added)
        asked = self.browser.run("return performance.getEntriesByType('resource').map((e) => e.name)")
        self.assertGreater(len(asked), 12)
        for address in asked:
            self.assertTrue(address.startswith(f"http://{self.member.http}/"), address)

    def test_the_keyboard_reaches_everything_and_a_new_view_takes_the_focus(self):
        self.register("reachable")
        self.open("/ui/services")
        self.browser.shows("reachable", "tbody")
        self.browser.press(TAB)
        focused = "return document.activeElement.innerText"
        self.assertEqual(self.browser.run(focused), "Skip to the content")
        self.browser.press(TAB, TAB)
        self.assertEqual(self.browser.run(focused), "Nodes")
        self.browser.press(ENTER)
        self.browser.shows("Nodes", "h1")
        self.assertEqual(self.browser.run("return document.activeElement.tagName"), "H1")
        current = "return document.querySelector('[aria-current=page]').innerText"
        self.assertEqual(self.browser.run(current), "Nodes")
        # Whoever is on a link stays on it while the list changes around it.
        self.browser.follow("Services")
        self.browser.shows("reachable", "tbody")
        on_it = """
            const links = [...document.querySelectorAll("td a")];
            links.find((a) => a.innerText === "reachable").focus();
        """
        self.browser.run(on_it)
        self.register("another-one")
        self.register("reachable", 2, Tags=["changed"])
        self.browser.shows("another-one", "tbody")
        self.browser.shows("changed", "tbody")
        self.assertEqual(self.browser.run(focused), "reachable")
        self.no_complaints()

    def test_a_list_is_narrowed_and_a_long_one_is_shown_in_pieces(self):
        operations = [
            {"KV": {"Verb": "set", "Key": f"long/{number:03}", "Value": "MQ=="}}
            for number in range(240)
        ]
        for at in range(0, len(operations), 120):
            self.put("/v1/txn", operations[at : at + 120])
        self.open("/ui/keys?prefix=long/")
        self.browser.shows("240 entries, 200 shown", ".bar")
        self.browser.run("document.querySelector('.view > button').click()")
        self.browser.shows("239", ".keys")
        self.browser.run("document.querySelector('input').focus()")
        self.browser.press(*"23")
        self.browser.shows("13 of 240 entries", ".bar")
        self.no_complaints()


class Loss(unittest.TestCase):
    def test_a_member_that_is_gone_is_told_and_found_again(self):
        with Cluster(settings=["ui.enabled=true"]) as cluster, Browser() as browser:
            [member] = cluster.members
            browser.open(f"http://{member.http}/ui/services")
            browser.shows("live", "#standing")
            browser.shows("consul", "tbody")
            member.stop()
            browser.shows("not connected", "#standing")
            browser.shows("The member does not answer.", "[role=alert]")
            # What was known stays on the screen.
            self.assertIn("consul", browser.text("tbody"))
            member.start().wait_ready()
            browser.shows("live", "#standing", 60)
            self.assertEqual(browser.text("[role=alert]:not([hidden])"), "")


class Looks(unittest.TestCase):
    """What can be measured of how it looks; the rest is for eyes."""

    VIEWS = ["services", "services?name=consul", "graph", "nodes", "keys", "keys?key=wide", "sessions", "members"]

    def test_it_fits_a_phone_and_is_dark_where_the_system_is(self):
        with Cluster(settings=["ui.enabled=true", "node_name=" + 6 * "long_name_"]) as cluster:
            [member] = cluster.members
            connection = http.client.HTTPConnection(*member.http_address, timeout=30)
            connection.request("PUT", "/v1/kv/wide", 4000 * b"w")
            self.assertEqual(connection.getresponse().read(), b"true")
            connection.close()
            with Browser(360, 740, dark=True) as browser:
                for view in self.VIEWS:
                    with self.subTest(view):
                        browser.open(f"http://{member.http}/ui/{view}")
                        browser.shows("live", "#standing")
                        width = browser.run("return document.documentElement.scrollWidth")
                        self.assertLessEqual(width, 360)
                ground = "return getComputedStyle(document.body).backgroundColor"
                self.assertEqual(browser.run(ground), "rgb(18, 23, 29)")
                browser.prefer("light")
                self.assertEqual(browser.run(ground), "rgb(246, 247, 249)")


if __name__ == "__main__":
    unittest.main()
