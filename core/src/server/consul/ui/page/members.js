// Members of the cluster: who leads, who votes, who lives; and this one, how far it is.

import { address, badge, facts, make, sync, table } from "./screen.js";

const HEALTH = "/v1/operator/autopilot/health";

export function members() {
  const list = table("Members", ["Member", "Role", "Health", "Address", "Last heard"]);
  const about = make("div");
  const zookeeper = make("div");
  return {
    title: "Members",
    content: [
      list.element,
      make("h2", {}, "This member"), about,
      zookeeper,
    ],
    question: { more: everything },
    shown({ servers, own, mntr }) {
      sync(list.body, servers, (item) => item.ID, (item) =>
        list.row(
          item.own ? make("strong", {}, `${item.Node} (this one)`) : item.Node,
          item.Leader ? "leader" : item.Voter ? "voter" : "observer",
          item.Healthy === undefined ? "not judged" : badge(item.Healthy ? "passing" : "critical"),
          address(item.Address),
          item.LastContact ?? "",
        ),
      );
      sync(about, [own], () => "", facts);
      sync(zookeeper, mntr ? [mntr] : [], () => "", (item) =>
        make("div", {}, make("h2", {}, "ZooKeeper's side of it"), facts(item)),
      );
    },
  };
}

async function everything(_none, get) {
  const [{ data: raft }, { data: self }, health, mntr] = await Promise.all([
    get("/v1/operator/raft/configuration"),
    get("/v1/agent/self"),
    // 429 is how it says that not all are well. A member that gave up its state is not asked.
    get(HEALTH, [429]).catch(() => ({ data: null })),
    // There is none where ZooKeeper's protocol is off.
    get("/commands/monitor").catch(() => ({ data: null })),
  ]);
  const judged = new Map((health.data?.Servers ?? []).map((item) => [item.ID, item]));
  const { Config, Stats } = self;
  const leads = raft.Servers.some((item) => item.Leader && item.ID === Config.NodeID);
  const servers = raft.Servers.map((item) => {
    const own = item.ID === Config.NodeID;
    const { Healthy, LastContact } = judged.get(item.ID) ?? {};
    // Only a leader hears from the others.
    const heard = leads ? LastContact : "by the leader";
    return { ...item, own, Healthy, LastContact: own ? "is here" : heard };
  });
  return {
    servers,
    own: [
      ["Name", Config.NodeName],
      ["Datacenter", Config.Datacenter],
      ["Speaks as Consul", Config.Version],
      ["Raft", `${Stats.raft.state}, term ${Stats.raft.term}`],
      ["Applied index", Stats.raft.applied_index],
      ["Leader", Stats.consul.leader_addr || "none known"],
    ],
    mntr: mntr.data && !mntr.data.error ? counts(mntr.data) : null,
  };
}

function counts(told) {
  return [
    ["Znodes", told.znode_count],
    ["Ephemerals", told.ephemerals_count],
    ["Bytes of them", told.approximate_data_size],
    ["Connections", told.num_alive_connections],
    ["Watches", told.watch_count],
  ];
}
