//! Answers about what is not here, or always the same.

use coord_state::event::Topic;
use coord_wire::consul::json;
use hyper::StatusCode;
use serde::Serialize;

use super::Front;
use super::answer::Answer;
use super::call::Call;
use super::error_map::HttpError;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Coordinates<'a> {
    datacenter: &'a str,
    #[serde(rename = "AreaID")]
    area_id: &'static str,
    coordinates: [(); 0],
}

impl Front {
    pub(super) fn coordinate_datacenters(&self, call: &Call) -> Answer {
        let own = Coordinates { datacenter: self.datacenter(), area_id: "wan", coordinates: [] };
        Answer::json(&[own], call.pretty())
    }

    /// Network coordinates are not computed: nobody has one.
    pub(super) async fn coordinate_nodes(&self, call: Call) -> Result<Answer, HttpError> {
        self.catalog_read(
            &call,
            vec![Topic::Coordinates],
            |_| 1,
            |_| json::encode::<[(); 0]>(&[], call.pretty()),
        )
        .await
    }

    pub(super) async fn coordinate_node(&self, call: Call) -> Result<Answer, HttpError> {
        call.required_name("Missing node name")?;
        let answer =
            self.catalog_read(&call, vec![Topic::Coordinates], |_| 1, |_| Vec::new()).await?;
        Ok(answer.with_status(StatusCode::NOT_FOUND))
    }
}

pub(super) fn acl_disabled() -> Result<Answer, HttpError> {
    Err(HttpError::new(StatusCode::UNAUTHORIZED, "ACL support disabled"))
}

pub(super) fn coordinates_disabled() -> Result<Answer, HttpError> {
    Err(HttpError::new(StatusCode::UNAUTHORIZED, "Coordinate support disabled"))
}

/// The process belongs to whoever embeds the member.
pub(super) fn leave() -> Result<Answer, HttpError> {
    Err(HttpError::internal("leaving over HTTP is not supported: stop the process instead"))
}
