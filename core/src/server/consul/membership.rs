//! Members that go: `/v1/operator/raft/peer`, `/v1/agent/leave` and
//! `/v1/agent/force-leave`.

use coord_state::MemberId;

use super::Front;
use super::answer::Answer;
use super::call::Call;
use super::error_map::HttpError;

const NEITHER: &str =
    "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove";
const BOTH: &str = "Must specify only one of ?id or ?address";

impl Front {
    /// Removes a member by its node id or its peer address.
    pub(super) async fn raft_remove_peer(&self, call: Call) -> Result<Answer, HttpError> {
        let (id, address) = (call.params.nonempty("id"), call.params.nonempty("address"));
        let (wanted, kind, by_id) = match (id, address) {
            (Some(id), None) => (id, "id", true),
            (None, Some(address)) => (address, "address", false),
            (None, None) => return Err(HttpError::bad_request(format!("Bad request: {NEITHER}"))),
            (Some(_), Some(_)) => {
                return Err(HttpError::bad_request(format!("Bad request: {BOTH}")));
            }
        };
        let status = self.node.status();
        let mut members = status.voters.iter().chain(&status.observers).map(|(member, _)| *member);
        let found = members.find(|member| match by_id {
            true => self.id_of_member(*member, &self.name_of_member(*member)) == wanted,
            false => self.address_of(&status, *member) == wanted,
        });
        let Some(member) = found else {
            return Err(HttpError::internal(format!(
                "{kind} \"{wanted}\" was not found in the Raft configuration"
            )));
        };
        self.node.remove_member(member).await?;
        Ok(Answer::empty())
    }

    /// This member leaves the cluster; its process ends behind the answer.
    pub(super) async fn agent_leave(&self) -> Result<Answer, HttpError> {
        self.node.leave().await?;
        Ok(Answer::empty())
    }

    /// Removes a member that failed; one that lives stays, as in Consul.
    pub(super) async fn agent_force_leave(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.name();
        let member = self.members().into_iter().find(|m| m.name.eq_ignore_ascii_case(&name));
        match member {
            None => Err(HttpError::internal(format!("agent: No node found with name '{name}'"))),
            Some(member) if member.status == 1 => Ok(Answer::empty()),
            Some(failed) => match self.member_named(&failed.name) {
                Some(member) => {
                    self.node.remove_member(member).await?;
                    Ok(Answer::empty())
                }
                None => Err(HttpError::internal(format!("'{name}' is no member of this cluster"))),
            },
        }
    }

    fn member_named(&self, name: &str) -> Option<MemberId> {
        let status = self.node.status();
        let mut members = status.voters.into_iter().chain(status.observers).map(|(id, _)| id);
        members.find(|member| self.name_of_member(*member) == name)
    }
}
