//! Members whose states diverge or whose disks fail, with real logs and sockets.

mod divergence;
mod failing_disk;
