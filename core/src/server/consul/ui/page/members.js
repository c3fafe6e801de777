// Members of the cluster: leader, voters, health; and the state of this member.

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
          item.Healthy === undefined ? "unknown" : badge(item.Healthy ? "passing" : "critical"),
          address(item.Address),
          item.LastContact ?? "",
        ),
      );
      sync(about, [own], () => "", facts);
      sync(zookeeper, mntr ? [mntr] : [], () => "", (item) =>
        make("div", {}, make("h2", {}, "ZooKeeper"), facts(item)),
      );
    },
  };
}

async function everything(_none, get) {
  const [{ data: raft }, { data: self }, health, mntr] = await Promise.all([
    get("/v1/operator/raft/configuration"),
    get("/v1/agent/self"),
    // 429 means that not all are healthy. A member that gave up its state does not answer this.
    get(HEALTH, [429]).catch(() => ({ data: null })),
    // Not available if ZooKeeper's protocol is off.
    get("/commands/monitor").catch(() => ({ data: null })),
  ]);
  const judged = new Map((health.data?.Servers ?? []).map((item) => [item.ID, item]));
  const { Config, Stats } = self;
  const leads = raft.Servers.some((item) => item.Leader && item.ID === Config.NodeID);
  const servers = raft.Servers.map((item) => {
    const own = item.ID === Config.NodeID;
    const { Healthy, LastContact } = judged.get(item.ID) ?? {};
    // Only the leader hears from the others.
    const heard = leads ? LastContact : "shown by the leader";
    return { ...item, own, Healthy, LastContact: own ? "this member" : heard };
  });
  return {
    servers,
    own: [
      ["Name", Config.NodeName],
      ["Datacenter", Config.Datacenter],
      ["Consul version", Config.Version],
      ["Raft", `${Stats.raft.state}, term ${Stats.raft.term}`],
      ["Applied index", Stats.raft.applied_index],
      ["Leader", Stats.consul.leader_addr || "unknown"],
    ],
    mntr: mntr.data && !mntr.data.error ? counts(mntr.data) : null,
  };
}

function counts(told) {
  return [
    ["Znodes", told.znode_count],
    ["Ephemerals", told.ephemerals_count],
    ["Data size in bytes", told.approximate_data_size],
    ["Connections", told.num_alive_connections],
    ["Watches", told.watch_count],
  ];
}
