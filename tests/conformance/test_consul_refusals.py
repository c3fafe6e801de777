"""Requests that Consul refuses, with its codes and its words."""

import http.client
import json
import unittest

from consul_server import consul_server, is_genuine, since

UUID = "8f246b77-f3e1-ff88-5b48-8ec93abf3e05"
LARGE = b"v" * 524_289

# Method, path, body, code, how the text begins; and the version since which it is so,
# if that is newer than the genuine one.
REFUSED = [
    ("GET", "/v1/kv/k?index=abc", None, 400, "Invalid index"),
    ("GET", "/v1/kv/k?wait=abc", None, 400, "Invalid wait time"),
    ("GET", "/v1/kv/k?stale&consistent", None, 400,
     "Cannot specify ?stale with ?consistent, conflicting semantics."),
    ("GET", "/v1/health/service/web?cached&consistent", None, 400,
     "Cannot specify ?cached with ?consistent, conflicting semantics."),
    ("GET", "/v1/kv/k?max_stale=x", None, 400, 'Invalid max_stale value "x"'),
    ("GET", "/v1/kv/k?dc=elsewhere", None, 500, "No path to datacenter"),
    ("GET", "/v1/kv/", None, 400, "Missing key name"),
    ("PUT", "/v1/kv/", b"v", 400, "Missing key name"),
    ("DELETE", "/v1/kv/", None, 400, "Missing key name"),
    ("PUT", "/v1/kv/k?cas=1&acquire=x", b"v", 400, "Conflicting flags: acquire=x&cas=1"),
    ("DELETE", "/v1/kv/k?cas=1&recurse", None, 400, "Conflicting flags: cas=1&recurse="),
    ("PUT", "/v1/kv/k", LARGE, 413, "Request body(524289 bytes) too large, max size: 524288 bytes. "
     "See https://www.consul.io/docs/agent/config/config-files#kv_max_value_size.", "1.16"),
    ("PUT", "/v1/txn", LARGE, 413, "Request body(524289 bytes) too large, max size: 524288 bytes. "
     "See https://www.consul.io/docs/agent/config/config-files#txn_max_req_len.", "1.16"),
    ("PUT", "/v1/kv/k?acquire=" + UUID, b"v", 500, f'invalid session "{UUID}"'),
    ("POST", "/v1/kv/k", None, 405, "method POST not allowed"),
    ("DELETE", "/v1/catalog/nodes", None, 405, "method DELETE not allowed"),
    ("GET", "/v1/agent/service/register", None, 405, "method GET not allowed"),
    ("GET", "/v1/nonsense", None, 404, "Invalid URL path: not a recognized HTTP API endpoint", "1.16"),
    ("PUT", "/v1/txn", b"{}", 400,
     "Failed to parse body: json: cannot unmarshal object into Go value of type api.TxnOps"),
    ("PUT", "/v1/txn", b'[{"KV":{"Verb":"set","Key":"k","Value":"!"}}]', 400,
     "Failed to parse body: illegal base64 data at input byte 0"),
    ("PUT", "/v1/txn", json.dumps([{"KV": {"Verb": "get", "Key": "k"}}] * 129).encode(), 413,
     "Transaction contains too many operations (129 > 128)", "1.14"),
    ("PUT", "/v1/session/create", b'{"TTL":"5s"}', 500, "Invalid Session TTL '5000000000', must be between [10s=24h0m0s]"),
    ("PUT", "/v1/session/create", b'{"Behavior":"keep"}', 500, "Invalid Behavior setting 'keep'"),
    ("PUT", "/v1/session/create", b'{"Node":"nobody"}', 500, "Missing node registration"),
    ("PUT", "/v1/session/create", b'{"NodeChecks":["none"]}', 500, "Missing check 'none' registration"),
    ("PUT", "/v1/session/create", b"nonsense", 400, "Request decode failed: "),
    ("PUT", "/v1/session/renew/" + UUID, None, 404, f"Session id '{UUID}' not found"),
    ("PUT", "/v1/session/destroy/", None, 400, "Missing session"),
    ("GET", "/v1/session/node/", None, 400, "Missing node name"),
    ("PUT", "/v1/catalog/register", b'{"Address":"1.1.1.1"}', 500, "Must provide node"),
    ("PUT", "/v1/catalog/register", b'{"Node":"n"}', 500, "Must provide address if SkipNodeUpdate is not set"),
    ("PUT", "/v1/catalog/register", b'{"Node":"n","Address":"1.1.1.1","Service":{"ID":"x"}}', 500,
     "Must provide service name"),
    ("PUT", "/v1/catalog/register", b'{"Node":"n","Bogus":1}', 400, 'Request decode failed: json: unknown field "Bogus"'),
    ("PUT", "/v1/catalog/register", b"", 400, "Request decode failed: EOF"),
    ("PUT", "/v1/catalog/deregister", b"{}", 500, "Must provide node"),
    ("GET", "/v1/catalog/service/", None, 400, "Missing service name"),
    ("GET", "/v1/catalog/node/", None, 400, "Missing node name"),
    ("GET", "/v1/catalog/nodes?filter=Bad==1", None, 500,
     'Failed to create boolean expression evaluator: Selector "Bad" is not valid'),
    ("GET", "/v1/health/service/web?passing=maybe", None, 400, "Invalid value for ?passing"),
    ("GET", "/v1/health/state/", None, 400, "Missing check state"),
    ("PUT", "/v1/agent/service/register", b"{}", 400, "Missing service name"),
    ("PUT", "/v1/agent/service/register", b'{"Name":"w","Address":"0.0.0.0"}', 400, "Invalid service address"),
    ("PUT", "/v1/agent/service/register", b'{"Name":"w","Check":{"Interval":"1s","TTL":"1s"}}', 400, "Invalid check: "),
    ("PUT", "/v1/agent/service/register", b'{"Name":"w","Meta":{"consul-x":"1"}}', 400, "Invalid Service Meta: "),
    ("PUT", "/v1/agent/service/register", b'{"Name":"w","Weights":{"Passing":0,"Warning":1}}', 400,
     "Invalid Weights: Passing must be greater than 0"),
    ("PUT", "/v1/agent/service/register", b'{"Name":"w","Port":"x"}', 400, "Request decode failed: "),
    ("PUT", "/v1/agent/service/deregister/none", None, 404, 'Unknown service ID "none"', "1.16"),
    ("GET", "/v1/agent/service/none", None, 404, "unknown service ID: none"),
    ("PUT", "/v1/agent/service/maintenance/none?enable=true", None, 404, 'Unknown service ID "none"', "1.16"),
    ("PUT", "/v1/agent/service/maintenance/none", None, 400, "Missing value for enable"),
    ("PUT", "/v1/agent/maintenance?enable=x", None, 400, 'Invalid value for enable: "x"'),
    ("PUT", "/v1/agent/check/register", b'{"TTL":"10s"}', 400, "Missing check name"),
    ("PUT", "/v1/agent/check/register", b'{"Name":"c","TTL":"10s","ServiceID":"none"}', 404, 'ServiceID "none" does not exist', "1.16"),
    ("PUT", "/v1/agent/check/deregister/none", None, 404, 'Unknown check ID "none"', "1.16"),
    ("PUT", "/v1/agent/check/pass/none", None, 404, 'Unknown check ID "none"', "1.16"),
    ("PUT", "/v1/agent/check/update/none", b'{"Status":"bogus"}', 400, "Invalid check status: 'bogus'"),
    ("PUT", "/v1/event/fire/", None, 400, "Missing name"),
    ("POST", "/v1/query", b'{"Name":"q"}', 500, "Invalid prepared query: Must provide a Service name to query"),
    ("GET", "/v1/query/" + UUID, None, 404, "Query not found"),
    ("GET", "/v1/query/none/execute", None, 404, "Query not found"),
    ("GET", "/v1/acl/tokens", None, 401, "ACL support disabled"),
    ("PUT", "/v1/config", b"", 400, "Bad request: Request decoding failed: EOF"),
    ("PUT", "/v1/config", b'{"Kind":"bogus","Name":"a"}', 400,
     "Bad request: Request decoding failed: invalid config entry kind: bogus"),
    ("PUT", "/v1/config", b'{"Kind":"service-defaults"}', 500, "serviceName is required"),
    ("PUT", "/v1/config?cas=x", b'{"Kind":"service-defaults","Name":"a"}', 500, 'strconv.ParseUint: parsing "x": invalid'),
    ("GET", "/v1/config", None, 405, "method GET not allowed"),
    ("GET", "/v1/config/bogus", None, 500, "invalid config entry kind: bogus"),
    ("GET", "/v1/config/service-defaults/none", None, 404, 'Config entry not found for "service-defaults" / "none"'),
    ("DELETE", "/v1/config/bogus/x", None, 400, "invalid config entry kind: bogus"),
    ("DELETE", "/v1/config/service-defaults", None, 404, "Must provide both a kind and name to delete"),
    ("POST", "/v1/connect/intentions", b"{}", 500, "3 errors occurred:\n\t* SourceName must be set\n"),
    ("POST", "/v1/connect/intentions", b'{"Bogus":1}', 500, 'Failed to decode request body: json: unknown field "Bogus"'),
    ("GET", "/v1/connect/intentions/none", None, 400, "Bad request: failed intention lookup: index error: UUID must be"),
    ("DELETE", "/v1/connect/intentions/none", None, 500, "Intention lookup failed: failed intention lookup: "),
    ("GET", "/v1/connect/intentions/" + UUID, None, 404, "Intention not found"),
    ("DELETE", "/v1/connect/intentions/" + UUID, None, 500, f"Cannot delete non-existent intention: '{UUID}'"),
    ("GET", "/v1/connect/ca/roots", None, 500, "Connect must be enabled in order to use this endpoint"),
    ("POST", "/v1/agent/connect/authorize", b"{}", 400, "Bad request: Target service must be specified"),
    ("POST", "/v1/agent/connect/authorize", b'{"Target":"db"}', 400,
     "Bad request: ClientCertURI not a valid Connect identifier"),
    ("PUT", "/v1/agent/service/register", b'{"Name":"w","Connect":{"SidecarService":{"ID":"x"}}}', 400,
     "1 error occurred:\n\t* A SidecarService cannot specify an ID as this is managed by the agent"),
    ("PUT", "/v1/agent/service/register", b'{"Name":"p","Kind":"connect-proxy","Port":1}', 400,
     "1 error occurred:\n\t* Proxy.DestinationServiceName must be non-empty for Connect proxy services"),
]


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = consul_server().__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(*self.server.members[0].http_address, timeout=30)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer, answer.read().decode()
        finally:
            connection.close()

    def test_codes_and_words(self):
        for method, path, body, code, text, *version in REFUSED:
            if not all(map(since, version)):
                continue
            with self.subTest(f"{method} {path} {(body or b'')[:60]}"):
                answer, said = self.ask(method, path, body)
                if is_genuine():
                    said = said.removeprefix("rpc error making call: ").removeprefix("raft apply failed: ")
                self.assertEqual((code, text), (answer.status, said[: len(text)]), said[:200])
                # Text for people, never JSON.
                self.assertEqual("text/plain; charset=utf-8", answer.getheader("Content-Type"))

    def test_a_refused_method_names_the_others(self):
        self.assertEqual("OPTIONS,GET,PUT,DELETE", self.ask("POST", "/v1/kv/k")[0].getheader("Allow"))
        answer, said = self.ask("OPTIONS", "/v1/kv/k")
        self.assertEqual((200, "", "OPTIONS,GET,PUT,DELETE"), (answer.status, said, answer.getheader("Allow")))
        self.assertEqual(405, self.ask("HEAD", "/v1/kv/k")[0].status)

    def test_what_is_missing_is_told_with_an_index(self):
        answer, said = self.ask("GET", "/v1/kv/none")
        self.assertEqual((404, ""), (answer.status, said))
        self.assertGreater(int(answer.getheader("X-Consul-Index")), 0)
        for path, body in (
            ("/v1/catalog/service/none", "[]"), ("/v1/catalog/node/none", "null"),
            ("/v1/catalog/node-services/none", '{"Node":null,"Services":null}'),
            ("/v1/health/service/none", "[]"), ("/v1/health/node/none", "[]"),
            ("/v1/session/info/" + UUID, "[]"), ("/v1/session/node/none", "[]"),
        ):
            answer, said = self.ask("GET", path)
            self.assertEqual((200, body), (answer.status, said), path)
            self.assertGreater(int(answer.getheader("X-Consul-Index")), 0, path)


if __name__ == "__main__":
    unittest.main()
