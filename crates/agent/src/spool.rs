//! Observations that wait to be sent: small files in order, bounded as a whole.
//!
//! Always: the oldest go first, both when sending and when there is no room; a batch is removed
//! when the server has said that it has it, so a crash in between sends it twice rather than never.
//! How many were dropped is an observation of its own.
//!
//! Not here: outcomes of orders. They are in the journal and never dropped.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use riposte_wire::Observed;
use serde_json::json;

use crate::fault::{During, Result};
use crate::files;

/// What may wait.
const ROOM: u64 = 64 << 20;
/// One batch.
const BATCH: u64 = 256 << 10;
const MOST: usize = 1_000;
const LARGEST: usize = 16 << 10;

/// The spool.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    room: u64,
    /// Closed batches and their sizes, the oldest first.
    closed: VecDeque<(u64, u64)>,
    /// The number, bytes, file and observations of the batch that is filled.
    open: Option<(u64, u64, File, usize)>,
    next: u64,
    dropped: u64,
}

impl Spool {
    /// Opens the spool.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        Self::with_room(folder, ROOM)
    }

    fn with_room(folder: &Path, room: u64) -> Result<Self> {
        files::private_dir(folder)?;
        let what = || format!("cannot read {}", folder.display());
        let mut closed = Vec::new();
        for entry in fs::read_dir(folder).during(what())? {
            let entry = entry.during(what())?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|n| n.strip_suffix(".jsonl")?.parse().ok());
            if let Some(number) = number {
                closed.push((number, entry.metadata().during(what())?.len()));
            }
        }
        closed.sort_unstable();
        let next = closed.last().map_or(1, |(number, _)| number + 1);
        Ok(Self {
            folder: folder.to_owned(),
            room,
            closed: closed.into(),
            open: None,
            next,
            dropped: 0,
        })
    }

    /// Puts an observation at the end.
    pub(crate) fn push(&mut self, observed: &Observed) -> Result<()> {
        let mut line = serde_json::to_vec(observed).during("cannot spell an observation")?;
        if line.len() > LARGEST {
            let short = Observed {
                text: observed.text.chars().take(1_000).collect(),
                detail: json!({"cut": true}),
                ..observed.clone()
            };
            line = serde_json::to_vec(&short).during("cannot spell an observation")?;
        }
        line.push(b'\n');
        let what = "cannot write the spool";
        let (_, size, file, held) = match &mut self.open {
            Some(open) => open,
            none => {
                let file = OpenOptions::new()
                    .append(true)
                    .create(true)
                    .mode(0o600)
                    .open(self.folder.join(format!("{:012}.jsonl", self.next)))
                    .during(what)?;
                self.next += 1;
                none.insert((self.next - 1, 0, file, 0))
            }
        };
        file.write_all(&line).during(what)?;
        *size += line.len() as u64;
        *held += 1;
        if *size >= BATCH || *held >= MOST {
            self.close();
        }
        while self.size() > self.room {
            let Some((number, _)) = self.closed.pop_front() else { break };
            self.dropped += count(&self.path(number));
            files::remove(&self.path(number))?;
        }
        Ok(())
    }

    /// The oldest batch and its number; `None` when nothing waits.
    pub(crate) fn oldest(&mut self) -> Result<Option<(u64, Vec<Observed>)>> {
        if self.closed.is_empty() {
            self.close();
        }
        let Some((number, _)) = self.closed.front().copied() else { return Ok(None) };
        let content = files::read(&self.path(number), 4 * BATCH)?.unwrap_or_default();
        let mut batch: Vec<Observed> = content
            .split(|b| *b == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        if self.dropped > 0 {
            let at = batch.first().map_or(0, |first| first.at);
            batch.insert(
                0,
                Observed {
                    at,
                    kind: "observationsDropped".to_owned(),
                    text: format!(
                        "{} observations were dropped: the server could not be reached",
                        self.dropped
                    ),
                    detail: json!({"count": self.dropped}),
                },
            );
        }
        Ok(Some((number, batch)))
    }

    /// The server has a batch.
    pub(crate) fn sent(&mut self, number: u64) -> Result<()> {
        if self.closed.front().is_some_and(|(front, _)| *front == number) {
            self.closed.pop_front();
            self.dropped = 0;
            files::remove(&self.path(number))?;
        }
        Ok(())
    }

    /// How many batches wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.closed.len() as u64 + u64::from(self.open.is_some())
    }

    fn close(&mut self) {
        if let Some((number, size, ..)) = self.open.take() {
            self.closed.push_back((number, size));
        }
    }

    fn size(&self) -> u64 {
        self.closed.iter().map(|(_, size)| size).sum::<u64>()
            + self.open.as_ref().map_or(0, |(_, size, ..)| *size)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:012}.jsonl"))
    }
}

fn count(path: &Path) -> u64 {
    let content = files::read(path, 4 * BATCH).ok().flatten().unwrap_or_default();
    content.split(|b| *b == b'\n').filter(|line| !line.is_empty()).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(at: i64) -> Observed {
        Observed { at, kind: "k".into(), text: "x".repeat(5_000), detail: json!(null) }
    }

    #[test]
    fn the_oldest_are_sent_first_and_dropped_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::with_room(folder.path(), 2 << 20).unwrap();
        for at in 0..1_000 {
            spool.push(&observed(at)).unwrap();
        }
        assert!(spool.size() <= 2 << 20);
        drop(spool.oldest().unwrap());
        let (number, batch) = spool.oldest().unwrap().unwrap();
        assert_eq!(batch[0].kind, "observationsDropped");
        let dropped = batch[0].detail["count"].as_i64().unwrap();
        assert!(dropped > 400 && batch[1].at == dropped, "{dropped}");
        spool.sent(number).unwrap();
        let mut seen = batch.len() as i64 - 1;
        // What waits outlives the agent.
        let mut spool = Spool::with_room(folder.path(), 2 << 20).unwrap();
        while let Some((number, batch)) = spool.oldest().unwrap() {
            assert_eq!(batch[0].at, dropped + seen);
            seen += batch.len() as i64;
            spool.sent(number).unwrap();
        }
        assert_eq!(dropped + seen, 1_000);
        assert_eq!((spool.waiting(), spool.size()), (0, 0));
    }

    #[test]
    fn an_endless_text_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path()).unwrap();
        spool.push(&Observed { text: "ä".repeat(1 << 20), ..observed(1) }).unwrap();
        assert_eq!(spool.oldest().unwrap().unwrap().1[0].text.chars().count(), 1_000);
    }
}
