// A program on node-zookeeper-client, unchanged: see ../programs.py.
//
//   client.js tree|watches|transactions HOSTS   ends with 0 if all is as it should be
//   client.js write HOSTS FOLDER                creates until its input ends
"use strict";

const assert = require("assert");
const zookeeper = require("node-zookeeper-client");
const { ACL, CreateMode, Exception, Permission, Id } = zookeeper;

// Every method with a callback, as one that returns a promise.
function promised(client) {
  return new Proxy(client, {
    get: (target, name) => (...given) =>
      new Promise((resolve, reject) =>
        target[name](...given, (error, ...values) =>
          error ? reject(error) : resolve(values.length > 1 ? values : values[0]))),
  });
}

function connect(hosts) {
  return new Promise((resolve) => {
    const client = zookeeper.createClient(hosts, { sessionTimeout: 30000, retries: 30 });
    client.once("connected", () => resolve([client, promised(client)]));
    client.connect();
  });
}

async function refused(code, call) {
  await assert.rejects(call, (error) => error.getCode() === Exception[code]);
}

async function tree(hosts) {
  const [client, zk] = await connect(hosts);
  assert.equal(await zk.create("/js", Buffer.from("one")), "/js");
  await refused("NODE_EXISTS", () => zk.create("/js"));
  assert.equal(await zk.create("/js/s-", CreateMode.PERSISTENT_SEQUENTIAL), "/js/s-0000000000");
  assert.equal(await zk.create("/js/e-", CreateMode.EPHEMERAL_SEQUENTIAL), "/js/e-0000000001");
  let [data, stat] = await zk.getData("/js");
  assert.equal(data.toString(), "one");
  assert.equal(stat.version, 0);
  assert.equal(stat.numChildren, 2);
  stat = await zk.setData("/js", Buffer.from("two"), 0);
  assert.equal(stat.version, 1);
  await refused("BAD_VERSION", () => zk.setData("/js", Buffer.from("x"), 0));
  const [names] = await zk.getChildren("/js");
  assert.deepEqual(names.sort(), ["e-0000000001", "s-0000000000"]);
  await refused("NOT_EMPTY", () => zk.remove("/js"));
  await refused("NO_NODE", () => zk.getData("/none"));
  assert.equal(await zk.exists("/none"), null);
  await zk.mkdirp("/js/a/b/c");
  assert.ok(await zk.exists("/js/a/b/c"));
  client.addAuthInfo("digest", Buffer.from("bob:secret"));
  await zk.create("/js/mine", Buffer.from("x"), [new ACL(Permission.ALL, new Id("auth", ""))]);
  const [acls] = await zk.getACL("/js/mine");
  assert.equal(acls[0].id.scheme, "digest");
  const [stranger, other] = await connect(hosts);
  await refused("NO_AUTH", () => other.getData("/js/mine"));
  stranger.close();
  await zk.setACL("/js/mine", ACL.READ_ACL_UNSAFE);
  client.close();
}

async function watches(hosts) {
  const [client, zk] = await connect(hosts);
  const [other, zk2] = await connect(hosts);
  const next = (watching) => new Promise((resolve) => watching(resolve)).then((e) => `${e.name} ${e.path}`);
  let event = next((told) => client.exists("/jsw", told, () => zk2.create("/jsw")));
  assert.equal(await event, "NODE_CREATED /jsw");
  event = next((told) => client.getData("/jsw", told, () => zk2.setData("/jsw", Buffer.from("1"))));
  assert.equal(await event, "NODE_DATA_CHANGED /jsw");
  event = next((told) => client.getChildren("/jsw", told, () => zk2.create("/jsw/k")));
  assert.equal(await event, "NODE_CHILDREN_CHANGED /jsw");
  event = next((told) => client.exists("/jsw/k", told, () => zk2.remove("/jsw/k")));
  assert.equal(await event, "NODE_DELETED /jsw/k");
  assert.equal(await zk.exists("/jsw/k"), null);
  client.close();
  other.close();
}

async function transactions(hosts) {
  const [client, zk] = await connect(hosts);
  const commit = (transaction) =>
    new Promise((resolve) => transaction.commit((error, results) => resolve([error, results])));
  let [error, results] = await commit(
    client.transaction().create("/jst", Buffer.from("1")).setData("/jst", Buffer.from("2")).check("/jst", 1));
  assert.equal(error, null);
  assert.equal(results.length, 3);
  [error] = await commit(client.transaction().create("/jst/lost").remove("/jst", 7));
  assert.ok(error);
  assert.equal(await zk.exists("/jst/lost"), null);
  client.close();
}

async function write(hosts, folder) {
  let going = true;
  process.stdin.on("end", () => (going = false)).resume();
  const [client, zk] = await connect(hosts);
  const session = client.getSessionId().toString("hex");
  await zk.create(folder);
  for (let number = 0; going; number++) {
    const path = `${folder}/${String(number).padStart(6, "0")}`;
    try {
      await zk.create(path);
      console.log(`created ${path}`);
    } catch (error) {
      console.log(`${path}: ${error}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  console.log(client.getSessionId().toString("hex") === session ? "session same" : "session other");
  client.close();
}

const [what, ...rest] = process.argv.slice(2);
({ tree, watches, transactions, write })[what](...rest).then(
  () => process.exit(0),
  (error) => {
    console.log(error);
    process.exit(1);
  },
);
