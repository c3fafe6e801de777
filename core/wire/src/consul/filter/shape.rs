//! The selectors of each endpoint.

/// Of which kind a selected value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Bool,
    /// A list of strings.
    Texts,
    /// Values by any key.
    Map(&'static Self),
    /// Values by known names.
    Object(&'static Shape),
    /// A list of objects.
    Objects(&'static Shape),
}

/// The fields of a row.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape(&'static [(&'static str, Kind)]);

impl Shape {
    /// The field of that name, as the JSON spells it.
    pub(super) fn field(&self, name: &str) -> Option<(&'static str, Kind)> {
        self.0.iter().copied().find(|(known, _)| *known == name)
    }
}

const TEXT_MAP: Kind = Kind::Map(&Kind::Text);

const SERVICE_ADDRESS: Shape = Shape(&[("Address", Kind::Text), ("Port", Kind::Integer)]);

const SERVICE_ADDRESSES: Kind = Kind::Map(&Kind::Object(&SERVICE_ADDRESS));

const WEIGHTS: Shape = Shape(&[("Passing", Kind::Integer), ("Warning", Kind::Integer)]);

const CONNECT: Shape = Shape(&[("Native", Kind::Bool)]);

const MESH_GATEWAY: Shape = Shape(&[("Mode", Kind::Text)]);

const EXPOSED_PATH: Shape = Shape(&[
    ("ListenerPort", Kind::Integer),
    ("LocalPathPort", Kind::Integer),
    ("Path", Kind::Text),
    ("Protocol", Kind::Text),
]);

const EXPOSE: Shape = Shape(&[("Checks", Kind::Bool), ("Paths", Kind::Objects(&EXPOSED_PATH))]);

const UPSTREAM: Shape = Shape(&[
    ("Datacenter", Kind::Text),
    ("DestinationName", Kind::Text),
    ("DestinationNamespace", Kind::Text),
    ("DestinationType", Kind::Text),
    ("LocalBindAddress", Kind::Text),
    ("LocalBindPort", Kind::Integer),
    ("MeshGateway", Kind::Object(&MESH_GATEWAY)),
]);

const PROXY: Shape = Shape(&[
    ("DestinationServiceID", Kind::Text),
    ("DestinationServiceName", Kind::Text),
    ("Expose", Kind::Object(&EXPOSE)),
    ("LocalServiceAddress", Kind::Text),
    ("LocalServicePort", Kind::Integer),
    ("LocalServiceSocketPath", Kind::Text),
    ("MeshGateway", Kind::Object(&MESH_GATEWAY)),
    ("Mode", Kind::Text),
    ("Upstreams", Kind::Objects(&UPSTREAM)),
]);

const DEPENDENCY: Shape =
    Shape(&[("Name", Kind::Text), ("Optional", Kind::Bool), ("Tag", Kind::Text)]);

/// A service in the graph of services.
pub const GRAPH: Shape = Shape(&[
    ("Because", Kind::Texts),
    ("DependsOn", Kind::Objects(&DEPENDENCY)),
    ("EffectiveStatus", Kind::Text),
    ("Name", Kind::Text),
    ("Status", Kind::Text),
]);

/// A catalog node.
pub const NODE: Shape = Shape(&[
    ("Address", Kind::Text),
    ("Datacenter", Kind::Text),
    ("ID", Kind::Text),
    ("Meta", TEXT_MAP),
    ("Node", Kind::Text),
    ("PeerName", Kind::Text),
    ("TaggedAddresses", TEXT_MAP),
]);

/// A service instance, without its node.
pub const SERVICE: Shape = Shape(&[
    ("Address", Kind::Text),
    ("Connect", Kind::Object(&CONNECT)),
    ("EnableTagOverride", Kind::Bool),
    ("ID", Kind::Text),
    ("Kind", Kind::Text),
    ("Meta", TEXT_MAP),
    ("PeerName", Kind::Text),
    ("Port", Kind::Integer),
    ("Proxy", Kind::Object(&PROXY)),
    ("Service", Kind::Text),
    ("SocketPath", Kind::Text),
    ("TaggedAddresses", SERVICE_ADDRESSES),
    ("Tags", Kind::Texts),
    ("Weights", Kind::Object(&WEIGHTS)),
]);

/// A service instance with its node's fields beside it.
pub const SERVICE_NODE: Shape = Shape(&[
    ("Address", Kind::Text),
    ("Datacenter", Kind::Text),
    ("ID", Kind::Text),
    ("Node", Kind::Text),
    ("NodeMeta", TEXT_MAP),
    ("PeerName", Kind::Text),
    ("ServiceAddress", Kind::Text),
    ("ServiceConnect", Kind::Object(&CONNECT)),
    ("ServiceEnableTagOverride", Kind::Bool),
    ("ServiceID", Kind::Text),
    ("ServiceKind", Kind::Text),
    ("ServiceMeta", TEXT_MAP),
    ("ServiceName", Kind::Text),
    ("ServicePort", Kind::Integer),
    ("ServiceProxy", Kind::Object(&PROXY)),
    ("ServiceSocketPath", Kind::Text),
    ("ServiceTaggedAddresses", SERVICE_ADDRESSES),
    ("ServiceTags", Kind::Texts),
    ("ServiceWeights", Kind::Object(&WEIGHTS)),
    ("TaggedAddresses", TEXT_MAP),
]);

/// A health check.
pub const CHECK: Shape = Shape(&[
    ("CheckID", Kind::Text),
    ("ExposedPort", Kind::Integer),
    ("Interval", Kind::Text),
    ("Name", Kind::Text),
    ("Node", Kind::Text),
    ("Notes", Kind::Text),
    ("Output", Kind::Text),
    ("PeerName", Kind::Text),
    ("ServiceID", Kind::Text),
    ("ServiceName", Kind::Text),
    ("ServiceTags", Kind::Texts),
    ("Status", Kind::Text),
    ("Timeout", Kind::Text),
    ("Type", Kind::Text),
]);

/// An intention of a service mesh.
pub const INTENTION: Shape = Shape(&[
    ("Action", Kind::Text),
    ("DefaultAddr", Kind::Text),
    ("DefaultPort", Kind::Integer),
    ("Description", Kind::Text),
    ("DestinationNS", Kind::Text),
    ("DestinationName", Kind::Text),
    ("ID", Kind::Text),
    ("Meta", TEXT_MAP),
    ("Precedence", Kind::Integer),
    ("SourceNS", Kind::Text),
    ("SourceName", Kind::Text),
    ("SourceType", Kind::Text),
]);

/// A service instance with its node and its checks.
pub const INSTANCE: Shape = Shape(&[
    ("Checks", Kind::Objects(&CHECK)),
    ("Node", Kind::Object(&NODE)),
    ("Service", Kind::Object(&SERVICE)),
]);
