//! Members that come back without what they had on disk, as clients see them.

use super::*;

#[test]
fn a_member_that_lost_its_directory_turns_clients_away_until_it_has_everything_back() {
    let mut members = Members::start(3);
    let leader = members.leader();
    let (wiped, other) = (members.others(leader)[0], members.others(leader)[1]);
    members.set(wiped, "kept", "yes");
    members.agree();
    // Without the third one nobody can know what the lost one had confirmed.
    members.stop(other);
    members.stop(wiped);
    members.directories[wiped] = TempDir::new().unwrap();
    members.restart(wiped);
    members.withdrawn(wiped);
    let server = members.server(wiped);
    assert_eq!(asked(server.addresses().zk.unwrap(), &connect_request()), "");
    assert_eq!(word(server, "isro"), "null");
    assert!(word(server, "srvr").contains("recovering lost data"));
    assert!(got(server, "/v1/kv/kept?stale").contains("recovering lost data"));
    assert_eq!(dns_code(server), DNS_REFUSED);
    let obstacle = server.obstacle().unwrap();
    assert!(obstacle.contains("recovering lost data"), "{obstacle}");

    members.restart(other);
    members.server(wiped).wait_ready(LIMIT).unwrap();
    members.agree();
    assert_eq!(members.value(wiped, "kept").as_deref(), Some(&b"yes"[..]));
    members.set(wiped, "after", "yes");
    assert_eq!(word(members.server(wiped), "isro"), "rw");
    // Whatever there was of it is as it was: a restart finds nothing to recover.
    members.stop(wiped);
    members.restart(wiped);
    members.server(wiped).wait_ready(LIMIT).unwrap();
    assert!(!members.directory(wiped).join("recovering").exists());
    members.agree();
}
