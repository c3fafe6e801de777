//! Keeps the tail of a long text in bounded memory.

use std::collections::VecDeque;

/// Keeps the last bytes of what is put into it, and counts all.
#[derive(Debug)]
pub(super) struct Tail {
    kept: VecDeque<u8>,
    bytes_max: usize,
    total: u64,
}

impl Tail {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { kept: VecDeque::new(), bytes_max, total: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let fitting = &bytes[bytes.len().saturating_sub(self.bytes_max)..];
        let surplus = (self.kept.len() + fitting.len()).saturating_sub(self.bytes_max);
        self.kept.drain(..surplus);
        self.kept.extend(fitting);
    }

    /// What is kept, a paragraph below what is to be said first.
    pub(super) fn behind(self, mut first: String) -> String {
        if self.total > 0 {
            first.push_str("\n\n");
            first.push_str(&self.into_text());
        }
        first
    }

    /// What is kept, and if it is not all, how much of it that is.
    pub(super) fn into_text(self) -> String {
        let kept: Vec<u8> = self.kept.into();
        let text = String::from_utf8_lossy(&kept);
        if u64::try_from(kept.len()).is_ok_and(|length| length == self.total) {
            return text.into_owned();
        }
        format!("Captured {} of {} bytes\n...\n{text}", kept.len(), self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(bytes_max: usize, parts: &[&str]) -> String {
        let mut tail = Tail::new(bytes_max);
        parts.iter().for_each(|part| tail.push(part.as_bytes()));
        tail.into_text()
    }

    #[test]
    fn a_short_text_stays_as_it_is() {
        assert_eq!(tail(4, &["ab", "cd"]), "abcd");
        assert_eq!(tail(4, &[]), "");
    }

    #[test]
    fn of_a_long_text_the_end_is_kept() {
        assert_eq!(tail(4, &["ab", "cd", "e"]), "Captured 4 of 5 bytes\n...\nbcde");
        assert_eq!(tail(2, &["abcdef"]), "Captured 2 of 6 bytes\n...\nef");
    }
}
