//! Questions as packets against a catalog filled by commands.

mod answers;
mod names;
mod room;
mod sockets;
mod world;
