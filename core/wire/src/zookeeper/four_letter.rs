//! Four-letter words: what an operator types into the client port.

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident = $word:literal;)*) => {
        /// A four-letter word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum FourLetterWord {
            $($(#[$meta])* $name,)*
        }

        impl FourLetterWord {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word these four bytes are. They would otherwise be the
            /// length of a first frame, but of one larger than any limit.
            pub fn from_bytes(bytes: [u8; 4]) -> Option<Self> {
                match &bytes {
                    $($word => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its four bytes.
            pub fn bytes(self) -> [u8; 4] {
                match self {
                    $(Self::$name => *$word,)*
                }
            }
        }
    };
}

words! {
    /// Settings.
    Conf = b"conf";
    /// Connections, in detail.
    Cons = b"cons";
    /// Reset the counters of connections.
    Crst = b"crst";
    /// Sizes on disk.
    Dirs = b"dirs";
    /// Sessions and their ephemerals.
    Dump = b"dump";
    /// Version and environment.
    Envi = b"envi";
    /// Trace mask.
    Gtmk = b"gtmk";
    /// Recent digests of the tree.
    Hash = b"hash";
    /// Whether the server is read-only.
    Isro = b"isro";
    /// Everything countable.
    Mntr = b"mntr";
    /// Are you ok?
    Ruok = b"ruok";
    /// Reset the server's counters.
    Srst = b"srst";
    /// Server summary.
    Srvr = b"srvr";
    /// Server summary with connections.
    Stat = b"stat";
    /// Set the trace mask.
    Stmk = b"stmk";
    /// Watches by session.
    Wchc = b"wchc";
    /// Watches by path.
    Wchp = b"wchp";
    /// How many watches.
    Wchs = b"wchs";
}
