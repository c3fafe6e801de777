"""The configuration of a service mesh where none runs: kept, and given back as Consul gives it."""

import http.client
import json
import unittest

from consul_server import consul_server, since
from member import eventually


class Mesh(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.server = consul_server().__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.address = cls.server.members[0].http_address

    def call(self, method, path, body=None, status=200):
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        self.assertEqual(status, answer.status, text)
        return json.loads(text) if text.strip() else None

    def without(self, told, *names):
        """What was told, without what differs each time."""
        for name in names:
            self.assertIn(name, told)
        return {name: value for name, value in told.items() if name not in names}

    def test_config_entries_are_given_back_in_consuls_spelling(self):
        web = {
            "kind": "service-defaults", "name": "web", "protocol": "HTTP",
            "mesh_gateway": {"mode": "local"}, "external_sni": "x",
        }
        self.assertIs(True, self.call("PUT", "/v1/config", web))
        told = self.call("GET", "/v1/config/service-defaults/WEB")
        kept = {
            "Kind": "service-defaults", "Name": "web", "Protocol": "http",
            "MeshGateway": {"Mode": "local"}, "Expose": {}, "ExternalSNI": "x",
        }
        self.assertEqual(kept, self.without(told, "CreateIndex", "ModifyIndex"))
        routes = [{"Match": {"HTTP": {"PathPrefix": "/x"}}, "Destination": {"Service": "web", "RequestTimeout": "5s"}}]
        self.assertIs(True, self.call("PUT", "/v1/config", {"Kind": "service-router", "Name": "web", "Routes": routes}))
        told = self.call("GET", "/v1/config/service-router")
        kept = {"Kind": "service-router", "Name": "web", "Routes": routes}
        self.assertEqual([kept], [self.without(entry, "CreateIndex", "ModifyIndex") for entry in told])
        for kind, index in (("service-router", told[0]["ModifyIndex"]), ("service-defaults", 0)):
            entry = {"Kind": kind, "Name": "web", "Routes": []} if index else {"Kind": kind, "Name": "web"}
            self.assertIs(bool(index), self.call("PUT", f"/v1/config?cas={index}", entry))
        self.assertEqual({}, self.call("DELETE", "/v1/config/service-router/web"))
        self.assertEqual([], self.call("GET", "/v1/config/service-router"))

    def test_intentions_are_given_back_and_decide(self):
        deny = {"SourceName": "web", "DestinationName": "db", "Action": "deny"}
        first = self.call("POST", "/v1/connect/intentions", deny)["ID"]
        allow = {"SourceName": "*", "DestinationName": "db", "Action": "allow", "Description": "d", "Meta": {"a": "b"}}
        second = self.call("POST", "/v1/connect/intentions", allow)["ID"]
        same = {"SourceNS": "default", "DestinationNS": "default", "SourceType": "consul", "DestinationName": "db",
                "DefaultAddr": "", "DefaultPort": 0}
        kept = [
            {**same, "ID": first, "SourceName": "web", "Action": "deny", "Description": "", "Meta": {}, "Precedence": 9},
            {**same, **allow, "ID": second, "Precedence": 8},
        ]
        told = self.call("GET", "/v1/connect/intentions")
        told = [self.without(one, "CreatedAt", "UpdatedAt", "CreateIndex", "ModifyIndex") for one in told]
        for one in told:
            # Only Consul has it, for its own copies between datacenters.
            one.pop("Hash", None)
        self.assertEqual(kept, told)
        for source, allowed in (("web", False), ("api", True)):
            path = f"/v1/connect/intentions/check?source={source}&destination=db"
            self.assertEqual({"Allowed": allowed}, self.call("GET", path))
        matched = self.call("GET", "/v1/connect/intentions/match?by=source&name=web&name=api")
        self.assertEqual({"web": [first, second], "api": [second]},
                         {name: [one["ID"] for one in about] for name, about in matched.items()})
        asked = {"Target": "db", "ClientCertURI": "spiffe://x.consul/ns/default/dc/dc1/svc/api", "ClientCertSerial": "1"}
        reason = f"Matched intention: ALLOW default/* => default/db (ID: {second}, Precedence: 8)"
        self.assertEqual({"Authorized": True, "Reason": reason}, self.call("POST", "/v1/agent/connect/authorize", asked))
        told = self.call("POST", "/v1/agent/connect/authorize", {**asked, "Target": "other"})
        self.assertIs(True, told["Authorized"])
        if since("1.10"):
            self.assertEqual("Default behavior configured by ACLs", told["Reason"])
        for one in (first, second):
            self.assertIs(True, self.call("DELETE", f"/v1/connect/intentions/{one}"))
        self.assertEqual([], self.call("GET", "/v1/connect/intentions"))

    def test_a_sidecar_is_a_service_beside_its_own_and_is_found_as_its_proxy(self):
        service = {"Name": "shop", "ID": "shop1", "Port": 80, "Tags": ["t"], "Meta": {"m": "1"}}
        self.call("PUT", "/v1/agent/service/register", {**service, "Connect": {"SidecarService": {}}})
        sidecar = {
            "Kind": "connect-proxy", "ID": "shop1-sidecar-proxy", "Service": "shop-sidecar-proxy", "Tags": ["t"],
            "Meta": {"m": "1"}, "Port": 21000, "Address": "", "Weights": {"Passing": 1, "Warning": 1},
            "EnableTagOverride": False,
            "Proxy": {"DestinationServiceName": "shop", "DestinationServiceID": "shop1",
                      "LocalServiceAddress": "127.0.0.1", "LocalServicePort": 80, "MeshGateway": {}, "Expose": {}},
        }
        services = self.call("GET", "/v1/agent/services")
        own = services["shop1-sidecar-proxy"]
        own.pop("Datacenter", None)
        self.assertEqual(sidecar, own)
        self.assertNotIn("Connect", services["shop1"])
        checks = self.call("GET", "/v1/agent/checks")
        told = {name: (check["Name"], check["Type"]) for name, check in checks.items() if name.startswith("service:shop1")}
        self.assertEqual({
            "service:shop1-sidecar-proxy:1": ("Connect Sidecar Listening", "tcp"),
            "service:shop1-sidecar-proxy:2": ("Connect Sidecar Aliasing shop1", "alias"),
        }, told)
        found = eventually("it is in the catalog", lambda: self.call("GET", "/v1/catalog/connect/shop"))
        self.assertEqual([("shop1-sidecar-proxy", sidecar["Proxy"])],
                         [(one["ServiceID"], one["ServiceProxy"]) for one in found])
        found = self.call("GET", "/v1/health/connect/Shop")
        self.assertEqual(["shop1-sidecar-proxy"], [one["Service"]["ID"] for one in found])
        self.call("PUT", "/v1/agent/service/deregister/shop1")
        self.assertEqual([], [name for name in self.call("GET", "/v1/agent/services") if "shop" in name])
        eventually("it is gone", lambda: self.call("GET", "/v1/catalog/connect/shop") == [])


if __name__ == "__main__":
    unittest.main()
