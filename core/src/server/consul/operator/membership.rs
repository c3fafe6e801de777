//! Removal of members: `/v1/operator/raft/peer`, `/v1/agent/leave` and
//! `/v1/agent/force-leave`. Leadership transfer:
//! `/v1/operator/raft/transfer-leader`.

use coord_state::MemberId;
use serde_json::json;

use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;

const NEITHER: &str =
    "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove";
const BOTH: &str = "Must specify only one of ?id or ?address";

impl ConsulApi {
    /// Removes a member by its node id or its peer address.
    pub(crate) async fn raft_remove_peer(&self, call: Call) -> Result<Answer, HttpError> {
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
        let member = found.ok_or_else(|| unknown(kind, wanted))?;
        self.node.remove_member(member).await?;
        Ok(Answer::empty())
    }

    /// Has another voter lead: the one with this node id, or whichever is fittest.
    pub(crate) async fn raft_transfer_leader(&self, call: Call) -> Result<Answer, HttpError> {
        let wanted = call.params.nonempty("id");
        let voters = self.node.status().voters;
        let mut voters = voters.iter().map(|(member, _)| *member);
        let heir = match wanted {
            None => None,
            Some(id) => Some(
                voters
                    .find(|member| self.id_of_member(*member, &self.name_of_member(*member)) == id)
                    .ok_or_else(|| unknown("id", id))?,
            ),
        };
        self.node.transfer_leadership(heir).await.map_err(|error| {
            // Nobody leads, or whoever leads says why it goes on doing so.
            match self.node.status().leader {
                None => HttpError::from(error),
                Some(_) => HttpError::internal(error.chain()),
            }
        })?;
        Ok(Answer::json(&json!({"Success": true}), call.pretty()))
    }

    /// This member leaves the cluster; its process ends behind the answer.
    pub(crate) async fn agent_leave(&self) -> Result<Answer, HttpError> {
        self.node.leave().await?;
        Ok(Answer::empty())
    }

    /// Removes a member that failed; one that lives stays, as in Consul.
    pub(crate) async fn agent_force_leave(&self, call: Call) -> Result<Answer, HttpError> {
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
                None => {
                    Err(HttpError::internal(format!("'{name}' is not a member of this cluster")))
                }
            },
        }
    }

    fn member_named(&self, name: &str) -> Option<MemberId> {
        let status = self.node.status();
        let mut members = status.voters.into_iter().chain(status.observers).map(|(id, _)| id);
        members.find(|member| self.name_of_member(*member) == name)
    }
}

fn unknown(kind: &str, wanted: &str) -> HttpError {
    HttpError::internal(format!("{kind} \"{wanted}\" was not found in the Raft configuration"))
}
