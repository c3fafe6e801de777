//! Questions as packets against a catalog filled by commands.

mod answers;
mod forwarding;
mod names;
mod queries;
mod ready;
mod room;
mod settings;
mod sockets;
mod world;
