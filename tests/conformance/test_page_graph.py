"""The graph of services on the page, in a real browser against a member that
runs. With `COORD_PICTURES=FOLDER` it leaves pictures there, for eyes."""

import base64
import http.client
import json
import os
import pathlib
import unittest
from urllib.parse import quote

from browser import Browser
from member import Cluster, eventually
from programs import axe

WAVES = [
    {"db": [], "queue": [], "cache": [], "vault": [], "mail-relay": [], "object-store": []},
    {
        "users": ["db", "cache?"], "stock": ["db"], "prices": ["db", "cache?"], "images": ["object-store"],
        "audit": ["queue", "db"], "secrets": ["vault"], "mailer": ["queue", "mail-relay"],
    },
    {
        "orders": ["users", "stock", "queue"], "catalog": ["prices", "images", "stock"],
        "payments": ["secrets", "audit", "fraud?"], "accounts": ["users", "secrets"], "search": ["stock", "prices"],
        "reports": ["audit", "mailer?"],
    },
    {
        "checkout": ["orders", "payments", "mailer?"], "shop-api": ["catalog", "search?", "accounts"],
        "back-office": ["orders", "reports"], "partner-api": ["catalog", "accounts"], "invoices": ["payments", "mailer"],
    },
    {"web": ["shop-api", "checkout"], "mobile": ["shop-api", "checkout"], "admin": ["back-office", "invoices"]},
    {"cdn": ["web"], "status-page": ["web?", "mobile?"]},
]  # fmt: skip
# Stands by itself.
ALONE = "metrics"
SERVICES = {name: needs for wave in WAVES for name, needs in wave.items()}
TAB, ENTER, LEFT, RIGHT = "\ue004", "\ue007", "\ue012", "\ue014"

# Name, middle, and what it says, of everything in the picture.
PLACES = """
    return [...document.querySelectorAll(".places li")].map((item) => {
        const box = item.getBoundingClientRect();
        return {
            name: item.querySelector(".name").innerText, text: item.innerText,
            kind: item.querySelector("a").className, x: box.x, y: box.y, right: box.right, bottom: box.bottom,
        };
    });
"""
LINES = """
    return [...document.querySelectorAll(".picture .line")].map((line) => ({
        from: line.dataset.from, to: line.dataset.to, kind: line.getAttribute("class"),
        dashes: getComputedStyle(line).strokeDasharray,
    }));
"""


class GraphPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.contexts = []
        cls.cluster = cls.entered(Cluster(settings=["ui.enabled=true"]))
        [cls.member] = cls.cluster.members
        cls.browser = cls.entered(Browser())

    @classmethod
    def entered(cls, context):
        entered = context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)
        return entered

    def put(self, *requests):
        """Puts one thing after the other over one connection."""
        connection = http.client.HTTPConnection(*self.member.http_address, timeout=60)
        try:
            for path, body in requests:
                connection.request("PUT", path, json.dumps(body).encode() if body else b"")
                answer = connection.getresponse()
                text = answer.read()
                self.assertEqual(answer.status, 200, text)
        finally:
            connection.close()

    def register(self, services):
        self.put(*(
            ("/v1/agent/service/register", {
                "Name": name, "DependsOn": needs,
                "Check": {"CheckID": name, "Name": "answers", "TTL": "600s", "Status": "passing"},
            })
            for name, needs in services.items()
        ))  # fmt: skip

    def open(self, path):
        self.browser.open(f"http://{self.member.http}{path}")

    def places(self):
        return {place["name"]: place for place in self.browser.run(PLACES)}

    def keep_picture(self, name):
        folder = os.environ.get("COORD_PICTURES")
        if folder:
            pathlib.Path(folder, f"{name}.png").write_bytes(base64.b64decode(self.browser.picture()))


class Thirty(GraphPage):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.register(cls(), {**SERVICES, ALONE: []})

    def setUp(self):
        self.put(("/v1/agent/check/pass/db", None))
        self.open("/ui/graph")
        self.browser.shows("30 services", ".summary")
        self.shown_as("users", "passing")

    def shown_as(self, name, text):
        eventually(f"{name} is {text}", lambda: text in self.places()[name]["text"])

    def test_waves_stand_from_left_to_right_and_nothing_on_anything(self):
        places = self.places()
        self.assertEqual(set(places), {*SERVICES, ALONE, "fraud"})
        for wave in WAVES:
            self.assertEqual(len({places[name]["x"] for name in wave}), 1, wave)
        lines = self.browser.run(LINES)
        self.assertEqual(len(lines), sum(map(len, SERVICES.values())))
        for line in lines:
            self.assertLess(places[line["from"]]["right"], places[line["to"]]["x"], line)
            optional = f"{line['from']}?" in SERVICES[line["to"]]
            self.assertEqual("optional" in line["kind"].split(), optional)
            self.assertEqual(line["dashes"] != "none", optional, line)
        boxes = list(places.values())
        for at, one in enumerate(boxes):
            for other in boxes[at + 1 :]:
                apart = one["right"] <= other["x"] or other["right"] <= one["x"]
                above = one["bottom"] <= other["y"] or other["bottom"] <= one["y"]
                self.assertTrue(apart or above, (one, other))
        self.assertIn("missing", places["fraud"]["kind"])
        self.assertIn("not registered", places["fraud"]["text"])
        self.assertEqual(self.browser.complaints(), [])

    def test_who_suffers_shows_live_by_colour_sign_and_word_and_in_the_list(self):
        self.put(("/v1/agent/check/fail/db", None))
        self.shown_as("cdn", "critical: db")
        places = self.places()
        self.assertEqual(places["db"]["text"].split(), ["✕", "db", "critical"])
        self.assertIn("✓", places["queue"]["text"])
        # It can do without those that suffer.
        self.assertIn("warning", places["status-page"]["text"])
        self.assertIn("!", places["status-page"]["text"])
        self.assertIn("1 critical, ", self.browser.text(".summary"))
        colours = """
            const colour = (name) => getComputedStyle([...document.querySelectorAll(".place .name")]
                .find((item) => item.innerText === name).parentElement).backgroundColor;
            return ["db", "queue", "status-page"].map(colour);
        """
        self.assertEqual(len(set(self.browser.run(colours))), 3)
        first = self.browser.text("tbody tr")
        self.assertIn("critical", first)
        self.keep_picture("thirty")
        self.browser.prefer("dark")
        self.keep_picture("thirty-dark")
        self.browser.prefer("light")

    def test_a_click_leads_to_the_service_and_from_there_to_what_is_around_it(self):
        # A real one, at a place of the picture: nothing may lie over it.
        place = self.places()["payments"]
        x, y = round((place["x"] + place["right"]) / 2), round((place["y"] + place["bottom"]) / 2)
        move = {"type": "pointerMove", "duration": 0, "x": x, "y": y}
        press = [move, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": press}
        self.browser.send("POST", "/actions", {"actions": [mouse]})
        self.browser.shows("payments", "h1")
        self.assertEqual(self.browser.run("return location.pathname + location.search"), "/ui/services?name=payments")
        self.browser.follow("Its dependencies")
        self.browser.shows("Needed by", ".facts")
        near = {"payments", "secrets", "vault", "audit", "queue", "db", "fraud", "checkout", "invoices", "web",
                "mobile", "admin", "cdn", "status-page"}  # fmt: skip
        eventually("all around it is drawn", lambda: set(self.places()) == near)
        self.keep_picture("around")
        self.browser.run("document.querySelector('.view button:nth-of-type(2)').click()")
        next_to_it = {"payments", "secrets", "audit", "fraud", "checkout", "invoices"}
        eventually("only what is next to it", lambda: set(self.places()) == next_to_it)
        self.assertIn("audit, fraud optional, secrets", " ".join(self.browser.text(".facts").split()))

    def test_the_picture_is_used_with_the_keyboard_alone(self):
        self.browser.run("document.querySelector('input[type=search]').focus()")
        self.browser.press(TAB)
        focused = "return document.activeElement.getAttribute('aria-label') ?? document.activeElement.title"
        self.assertEqual(self.browser.run(focused), "Picture of the dependencies")
        self.browser.press(TAB)
        # The first from the left, which is not registered.
        self.assertEqual(self.browser.run(focused), "fraud · not registered")
        self.browser.run("document.querySelector('a[title^=checkout]').focus()")
        lit = """
            return [...document.querySelectorAll(".places li.lit .name")].map((item) => item.innerText).sort();
        """
        self.assertEqual(self.browser.run(lit), ["checkout", "mailer", "mobile", "orders", "payments", "web"])
        self.browser.press(LEFT)
        self.assertIn(self.browser.run(focused).split(" ")[0], ["orders", "payments", "mailer"])
        self.browser.press(RIGHT, ENTER)
        self.browser.shows("answers", ".checks")

    def test_news_do_not_take_the_focus_or_the_place_away(self):
        before = self.places()
        self.browser.run("document.querySelector('a[title^=stock]').focus()")
        self.put(("/v1/agent/check/fail/db", None))
        self.shown_as("stock", "critical: db")
        self.assertIn("stock", self.browser.run("return document.activeElement.title"))
        after = self.places()
        where = lambda places: {name: (place["x"], place["y"]) for name, place in places.items()}
        self.assertEqual(where(before), where(after))

    def test_the_list_and_the_picture_are_narrowed_by_a_word(self):
        self.put(("/v1/agent/check/fail/db", None))
        self.shown_as("cdn", "critical: db")
        self.browser.run("document.querySelector('input').focus()")
        self.browser.press(*"invoices")
        eventually("it is narrowed", lambda: set(self.places()) == {"invoices", "payments", "mailer", "admin"})
        self.assertEqual(self.browser.run("return document.querySelectorAll('tbody tr').length"), 1)
        self.browser.run("""
            const input = document.querySelector("input");
            input.value = "warning";
            input.dispatchEvent(new Event("input"));
        """)
        self.browser.shows("status-page", "tbody")
        self.assertNotIn("cdn", self.browser.text("tbody"))

    def test_nothing_keeps_people_from_using_it(self):
        self.put(("/v1/agent/check/fail/db", None))
        text = axe()
        # One of these takes a second or two.
        views = [("graph", "light"), ("graph", "dark"), ("graph?name=payments", "dark"), ("services?name=db", "light")]
        for view, scheme in views:
            with self.subTest(view, scheme=scheme):
                self.browser.prefer(scheme)
                self.open(f"/ui/{view}")
                self.browser.shows("live", "#standing")
                eventually("it is drawn", lambda: self.browser.run("return !document.querySelector('[aria-busy]')"))
                self.browser.run(text + ";window.axe = axe")
                self.browser.run("axe.run().then((found) => { window.found = found; })")
                eventually("it is judged", lambda: self.browser.run("return Boolean(window.found)"))
                bad = self.browser.run("""
                    return window.found.violations.map((rule) => [rule.id, rule.help,
                        rule.nodes.slice(0, 3).map((node) => node.html.slice(0, 200) + node.failureSummary)]);
                """)
                self.assertEqual(bad, [])
                judged = self.browser.run("return window.found.passes.map((rule) => rule.id)")
                for rule in ["color-contrast", "link-name", "aria-allowed-role"]:
                    self.assertIn(rule, judged)
        self.browser.prefer("light")


class FiveHundred(GraphPage):
    def test_five_hundred_services_are_shown_searched_and_looked_at_one_by_one(self):
        self.put(("/v1/catalog/register", {"Node": "far", "Address": "10.0.0.9"}))
        sets = []
        for number in range(500):
            below = [f"s{number - step:03}" for step in (7, 60, 110) if number >= max(step, 60)]
            service = {"ID": f"s{number:03}", "Service": f"s{number:03}", "Meta": {"depends-on": ", ".join(below)}}
            sets.append({"Service": {"Verb": "set", "Node": "far", "Service": service}})
        self.put(*(("/v1/txn", sets[at : at + 100]) for at in range(0, 500, 100)))
        self.open("/ui/graph")
        self.browser.shows("500 services", ".summary")
        eventually("all are drawn", lambda: len(self.places()) == 500)
        self.keep_picture("five-hundred")
        # From the answer to the picture, with a browser that is busy with nothing else.
        took = self.browser.run("""
            const began = performance.now();
            const input = document.querySelector("input");
            for (const word of ["s4", ""]) { input.value = word; input.dispatchEvent(new Event("input")); }
            return performance.now() - began;
        """)
        self.assertLess(took, 10_000)
        self.browser.run("document.querySelector('input').focus()")
        self.browser.press(*"s333")
        eventually("it is found", lambda: "s333" in self.places() and len(self.places()) < 10)
        self.keep_picture("one-of-five-hundred")
        self.open(f"/ui/graph?name={quote('s120')}")
        self.browser.shows("Needed by", ".facts")
        eventually("what is next to it", lambda: 2 < len(self.places()) < 20)
        self.assertEqual(self.browser.complaints(), [])


if __name__ == "__main__":
    unittest.main()
