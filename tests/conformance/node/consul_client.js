// npm's Consul client, unchanged: `node consul_client.js NAME` runs one test
// against the server that CONSUL_HTTP_ADDR names.
"use strict";

const assert = require("node:assert/strict");
const Consul = require("consul");

const [host, port] = process.env.CONSUL_HTTP_ADDR.split(":");
const consul = new Consul({ host, port: Number(port) });
const tests = {};

// What a watch tells, one change after the other.
function changes(method, options) {
  const watch = consul.watch({ method, options: { wait: "20s", ...options } });
  const told = [];
  let wake = () => {};
  watch.on("change", (data) => {
    told.push(data);
    wake();
  });
  watch.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
  return {
    end: () => watch.end(),
    async until(condition) {
      for (;;) {
        while (told.length > 0) {
          const data = told.shift();
          if (condition(data)) return data;
        }
        await new Promise((resolve) => (wake = resolve));
      }
    },
  };
}

tests.keys = async () => {
  assert.equal(await consul.kv.set("js/k", "one"), true);
  const found = await consul.kv.get("js/k");
  assert.equal(found.Value, "one");
  // It gives nothing for `false`.
  assert.ok(!(await consul.kv.set({ key: "js/k", value: "no", cas: "1" })));
  assert.equal(await consul.kv.set({ key: "js/k", value: "two", cas: `${found.ModifyIndex}`, flags: 7 }), true);
  assert.equal((await consul.kv.get({ key: "js/k", raw: true })).toString(), "two");
  assert.equal((await consul.kv.get("js/k")).Flags, 7);
  await consul.kv.set("js/d/e", "");
  assert.deepEqual(await consul.kv.keys("js/"), ["js/d/e", "js/k"]);
  assert.deepEqual(await consul.kv.keys({ key: "js/", separator: "/" }), ["js/d/", "js/k"]);
  assert.equal((await consul.kv.get({ key: "js/", recurse: true })).length, 2);
  await consul.kv.del({ key: "js/", recurse: true });
  assert.equal(await consul.kv.get("js/k"), undefined);
};

tests.transactions = async () => {
  const operation = (Verb, Key) => ({ KV: { Verb, Key, Value: "eA==" } });
  const done = await consul.transaction.create([operation("set", "js/t"), operation("get", "js/t")]);
  assert.equal(done.Results[1].KV.Value, "eA==");
  await assert.rejects(consul.transaction.create([operation("check-not-exists", "js/t")]), /conflict/);
  await consul.kv.del("js/t");
};

tests.services = async () => {
  await consul.agent.service.register({
    name: "js-web", id: "js-web-1", address: "10.4.4.4", port: 80, tags: ["a"],
    meta: { zone: "z" }, check: { ttl: "60s", notes: "n" },
  });
  assert.equal((await consul.agent.services())["js-web-1"].Meta.zone, "z");
  const watch = changes(consul.health.service, { service: "js-web", passing: true });
  await watch.until((list) => list.length === 0);
  await consul.agent.check.pass("service:js-web-1");
  await watch.until((list) => list.length === 1);
  await consul.agent.check.warn({ id: "service:js-web-1", note: "slow" });
  await watch.until((list) => list.length === 0);
  await consul.agent.check.fail("service:js-web-1");
  assert.equal((await consul.agent.checks())["service:js-web-1"].Status, "critical");
  await consul.agent.service.maintenance({ id: "js-web-1", enable: true, reason: "r" });
  await consul.agent.service.maintenance({ id: "js-web-1", enable: false });
  assert.equal((await consul.catalog.service.nodes("js-web"))[0].ServicePort, 80);
  assert.ok("js-web" in (await consul.catalog.services()));
  assert.equal((await consul.health.checks("js-web")).length, 1);
  await consul.agent.service.deregister("js-web-1");
  watch.end();
};

tests.checks = async () => {
  await consul.agent.check.register({ name: "js-check", ttl: "30s", notes: "n" });
  assert.equal((await consul.health.state("critical")).length, 1);
  await consul.agent.check.deregister("js-check");
  assert.equal((await consul.agent.check.list())["js-check"], undefined);
};

tests.catalog = async () => {
  await consul.catalog.register({ node: "js-ext", address: "10.5.5.5", service: { service: "js-db", port: 1 } });
  assert.ok((await consul.catalog.nodes()).some((node) => node.Node === "js-ext"));
  assert.equal((await consul.catalog.node.services("js-ext")).Services["js-db"].Port, 1);
  assert.deepEqual(await consul.catalog.datacenters(), ["dc1"]);
  assert.deepEqual(await consul.health.node("js-ext"), []);
  await consul.catalog.deregister("js-ext");
};

tests.sessions = async () => {
  const { ID } = await consul.session.create({ name: "js", ttl: "10s", lockdelay: "0s", behavior: "delete" });
  assert.equal((await consul.session.info(ID)).Name, "js");
  assert.equal((await consul.session.renew(ID))[0].ID, ID);
  assert.ok((await consul.session.list()).some((session) => session.ID === ID));
  const { Config } = await consul.agent.self();
  assert.ok((await consul.session.node(Config.NodeName)).some((session) => session.ID === ID));
  assert.equal(await consul.kv.set({ key: "js/lock", value: "mine", acquire: ID }), true);
  const watch = changes(consul.kv.get, { key: "js/lock" });
  await watch.until((entry) => entry.Session === ID);
  await consul.session.destroy(ID);
  await watch.until((entry) => entry === undefined);
  watch.end();
  await assert.rejects(consul.session.renew(ID), /not found/);
};

tests.events = async () => {
  const fired = await consul.event.fire("js-deploy", "now");
  const found = await consul.event.list("js-deploy");
  assert.deepEqual(found.map((event) => [event.ID, event.Payload]), [[fired.ID, "now"]]);
};

tests.queries = async () => {
  await consul.agent.service.register("js-q");
  const { ID } = await consul.query.create({ name: "js-find", service: { service: "js-q" } });
  assert.equal((await consul.query.execute("js-find")).Nodes.length, 1);
  await consul.query.update({ query: ID, name: "js-find", service: { service: "js-none" } });
  assert.equal((await consul.query.execute(ID)).Nodes.length, 0);
  assert.equal((await consul.query.get(ID)).Service.Service, "js-none");
  await consul.query.explain("js-find");
  assert.equal((await consul.query.list()).length, 1);
  await consul.query.destroy(ID);
  await consul.agent.service.deregister("js-q");
};

tests.agent = async () => {
  assert.equal((await consul.agent.members()).length, 1);
  await consul.agent.reload();
  await consul.agent.maintenance({ enable: true, reason: "r" });
  await consul.agent.maintenance(false);
  assert.deepEqual(await consul.status.peers(), [await consul.status.leader()]);
};

tests[process.argv[2]]().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
