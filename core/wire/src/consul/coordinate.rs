//! `/v1/coordinate`: how coordinates are sent and printed.

use coord_state::consul::{Coordinate, DIMENSIONS, NodeCoordinate};
use serde::Serialize;
use serde_json::Value;

use super::decode::{DecodeError, Fields};

/// A coordinate in numbers. Times are seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Place {
    /// The Euclidean part.
    pub vec: [f64; DIMENSIONS],
    /// How sure it is.
    pub error: f64,
    /// What measurements differ by.
    pub adjustment: f64,
    /// The way to the network and back.
    pub height: f64,
}

impl Place {
    /// Where somebody is who has measured nothing yet.
    pub const UNKNOWN: Self =
        Self { vec: [0.0; DIMENSIONS], error: 1.5, adjustment: 0.0, height: 1e-5 };

    /// Reads what is stored.
    pub fn of(stored: &Coordinate) -> Self {
        Self {
            vec: stored.vector.map(f64::from_bits),
            error: f64::from_bits(stored.error),
            adjustment: f64::from_bits(stored.adjustment),
            height: f64::from_bits(stored.height),
        }
    }

    /// As it is stored.
    pub fn stored(&self) -> Coordinate {
        Coordinate {
            vector: self.vec.map(f64::to_bits),
            error: self.error.to_bits(),
            adjustment: self.adjustment.to_bits(),
            height: self.height.to_bits(),
        }
    }

    /// The estimated round trip to `other`, in seconds, as Consul estimates it.
    pub fn round_trip(&self, other: &Self) -> f64 {
        let squares = self.vec.iter().zip(&other.vec).map(|(a, b)| (a - b) * (a - b));
        let distance = squares.sum::<f64>().sqrt() + self.height + other.height;
        let adjusted = distance + self.adjustment + other.adjustment;
        if adjusted > 0.0 { adjusted } else { distance }
    }
}

/// One node's coordinate as printed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CoordinateAnswer<'a> {
    /// Which node.
    pub node: &'a str,
    /// Always the default one, which has no name.
    pub segment: &'static str,
    /// Where it is.
    pub coord: Place,
}

impl<'a> From<&'a NodeCoordinate> for CoordinateAnswer<'a> {
    fn from(at: &'a NodeCoordinate) -> Self {
        Self { node: &at.node, segment: "", coord: Place::of(&at.coordinate) }
    }
}

/// Reads `{"Node", "Segment", "Coord": {…}}`; what is outside of the numbers
/// that mean something is told in a sentence.
///
/// # Errors
/// [`DecodeError`] if it is not such a body.
pub fn update(body: &[u8]) -> Result<Result<NodeCoordinate, &'static str>, DecodeError> {
    let mut fields = Fields::parse(body, "structs.CoordinateUpdateRequest")?;
    let node = fields.string("Node")?;
    let segment = fields.string("Segment")?;
    fields.take_scope()?;
    let coord = fields.object("Coord")?.map(Value::Object).unwrap_or(Value::Null);
    let mut coord = Fields::of(coord, "coordinate.Coordinate")?;
    let vector = coord.values("Vec")?.unwrap_or_default();
    let vector: Vec<f64> =
        vector.into_iter().map(|value| number(Some(value), "Vec")).collect::<Result<_, _>>()?;
    let mut scalar = |name| number(coord.value(name), name);
    let (error, adjustment, height) = (scalar("Error")?, scalar("Adjustment")?, scalar("Height")?);
    if !segment.is_empty() {
        return Ok(Err("network segments are a Consul Enterprise feature"));
    }
    let Ok(vec) = <[f64; DIMENSIONS]>::try_from(vector) else {
        return Ok(Err("incompatible coordinate"));
    };
    let place = Place { vec, error, adjustment, height };
    Ok(Ok(NodeCoordinate { node: node.into(), coordinate: place.stored() }))
}

/// JSON has no infinite numbers and no others that are none, so all are valid.
fn number(value: Option<Value>, field: &str) -> Result<f64, DecodeError> {
    match value {
        None => Ok(0.0),
        Some(value) => value.as_f64().ok_or_else(|| {
            DecodeError::new(format!(
                "json: cannot unmarshal {value} into Go struct field .{field} of type float64"
            ))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f64, height: f64, adjustment: f64) -> Place {
        let mut vec = [0.0; DIMENSIONS];
        vec[0] = x;
        Place { vec, error: 1.0, adjustment, height }
    }

    #[test]
    fn a_round_trip_is_the_way_through_space_and_both_heights() {
        let (a, b) = (at(0.0, 0.001, 0.0), at(0.003, 0.002, 0.0));
        assert!((a.round_trip(&b) - 0.006).abs() < 1e-12);
        assert!((a.round_trip(&b) - b.round_trip(&a)).abs() < 1e-12);
        let adjusted = at(0.003, 0.002, 0.001);
        assert!((a.round_trip(&adjusted) - 0.007).abs() < 1e-12);
        // An adjustment never makes it negative.
        assert!((a.round_trip(&at(0.003, 0.002, -1.0)) - 0.006).abs() < 1e-12);
    }

    #[test]
    fn an_update_is_read_as_it_is_printed() {
        let body = br#"{"Node":"n","Coord":{"Vec":[1,2,3,4,5,6,7,8.5],"Error":1.5,
            "Adjustment":-0.25,"Height":0.00001}}"#;
        let read = update(body).unwrap().unwrap();
        let printed = serde_json::to_string(&CoordinateAnswer::from(&read)).unwrap();
        assert_eq!(
            printed,
            "{\"Node\":\"n\",\"Segment\":\"\",\"Coord\":{\"Vec\":[1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.5],\
             \"Error\":1.5,\"Adjustment\":-0.25,\"Height\":0.00001}}"
        );
        assert_eq!(
            update(br#"{"Node":"n","Coord":{"Vec":[1]}}"#),
            Ok(Err("incompatible coordinate"))
        );
        assert!(update(br#"{"Node":"n","Coord":{"Vec":["x"]}}"#).is_err());
        assert!(update(b"").is_err());
    }
}
