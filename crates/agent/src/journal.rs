//! What was ordered and what became of it: an append-only file that decides, after a crash, what
//! may still be begun.
//!
//! Each line is a checksum and a record. An order's states: unknown, begun, ended, acknowledged.
//!
//! Always: `began` is on disk before an order begins, and `ended` before anybody hears of the
//! outcome; an id that is here is never begun again, also when its outcome has been forgotten. A
//! line that was torn by a crash can only be the last and is cut off; a damaged line elsewhere is
//! skipped and counted. After a failed sync nobody knows what is on disk, so the agent ends and the
//! file decides when it starts again.
//!
//! Not here: sending outcomes (`session`), carrying orders out (`carry`).

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use riposte_wire::{Action, Order, OrderResult};
use serde::{Deserialize, Serialize};

use crate::clock::DAY;
use crate::fault::{During, Fault, Result};
use crate::files;

/// How long an acknowledged outcome is kept, and one that the server never acknowledges.
const KEEP: i64 = 7 * DAY;
const GIVE_UP: i64 = 90 * DAY;
const LARGEST: u64 = 512 << 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    Began {
        order: Box<Order>,
        at: i64,
    },
    Ended {
        result: Box<OrderResult>,
    },
    Acknowledged {
        order: String,
        at: i64,
    },
    /// An order of which only this is kept.
    Known {
        order: String,
    },
    Family {
        name: String,
        generation: i64,
        order: String,
    },
}

/// What is kept of an order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// What was to be done and when it began, until the end has been acknowledged.
    pub(crate) began: Option<(Action, i64)>,
    /// What became of it.
    pub(crate) result: Option<OrderResult>,
    /// Since when the server is known to have the outcome.
    pub(crate) acknowledged: Option<i64>,
    place: u64,
}

/// The journal, open for writing.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    places: u64,
    entries: HashMap<String, Entry>,
    families: BTreeMap<String, (i64, String)>,
    damaged: usize,
}

/// What a journal says.
struct Content {
    entries: HashMap<String, Entry>,
    families: BTreeMap<String, (i64, String)>,
    places: u64,
    damaged: usize,
    sound: u64,
}

impl Journal {
    /// Opens the journal, cuts a torn last line off and forgets what need not be kept.
    pub(crate) fn open(path: &Path, now: i64) -> Result<Self> {
        let bytes = files::read(path, LARGEST)?.unwrap_or_default();
        let content = understand(&bytes);
        let what = || format!("cannot open {}", path.display());
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .during(what())?;
        file.set_len(content.sound).during(what())?;
        file.sync_all().during(what())?;
        if let Some(folder) = path.parent() {
            files::sync_dir(folder).during(what())?;
        }
        let mut journal = Self {
            path: path.to_owned(),
            file,
            length: content.sound,
            places: content.places,
            entries: content.entries,
            families: content.families,
            damaged: content.damaged,
        };
        journal.file.seek(SeekFrom::End(0)).during(what())?;
        journal.compact(now)?;
        Ok(journal)
    }

    /// What a journal says, for people; nothing is changed.
    pub(crate) fn look(path: &Path) -> Result<HashMap<String, Entry>> {
        Ok(understand(&files::read(path, LARGEST)?.unwrap_or_default()).entries)
    }

    /// How many lines could not be read.
    pub(crate) fn damaged(&self) -> usize {
        self.damaged
    }

    /// Whether an order has been begun or refused before.
    pub(crate) fn knows(&self, order: &str) -> bool {
        self.entries.contains_key(order)
    }

    /// What is kept of an order.
    pub(crate) fn entry(&self, order: &str) -> Option<Entry> {
        self.entries.get(order).cloned()
    }

    /// The generation and the order that was last carried out for a thing.
    pub(crate) fn last(&self, family: &str) -> Option<(i64, &str)> {
        self.families.get(family).map(|(generation, order)| (*generation, order.as_str()))
    }

    /// Writes down that an order begins now. It may begin when this returns well, and not else.
    pub(crate) fn begin(&mut self, order: &Order, at: i64) -> Result<()> {
        if self.knows(&order.id) {
            return Err(Fault::new(format!("order {} was begun before", order.id)));
        }
        let mut records = vec![Record::Began { order: Box::new(order.clone()), at }];
        if let Some(name) = order.action.family() {
            records.push(Record::Family {
                name,
                generation: order.generation,
                order: order.id.clone(),
            });
        }
        self.append(records)
    }

    /// Writes down what became of an order, or that it was refused.
    pub(crate) fn end(&mut self, result: OrderResult) -> Result<()> {
        self.append(vec![Record::Ended { result: Box::new(result) }])
    }

    /// Writes down that the server has these outcomes.
    pub(crate) fn acknowledge(&mut self, orders: &[String], at: i64) -> Result<()> {
        let news: Vec<Record> = orders
            .iter()
            .filter(|order| {
                self.entries
                    .get(*order)
                    .is_some_and(|e| e.result.is_some() && e.acknowledged.is_none())
            })
            .map(|order| Record::Acknowledged { order: order.clone(), at })
            .collect();
        if news.is_empty() { Ok(()) } else { self.append(news) }
    }

    /// Orders whose outcome the server has not acknowledged, those under way included.
    pub(crate) fn open_orders(&self) -> Vec<String> {
        let mut open: Vec<(&u64, &String)> = self
            .entries
            .iter()
            .filter(|(_, e)| e.acknowledged.is_none() && (e.result.is_some() || e.began.is_some()))
            .map(|(id, e)| (&e.place, id))
            .collect();
        open.sort();
        // The server takes no more; the oldest are settled first.
        open.into_iter().map(|(_, id)| id.clone()).take(1_000).collect()
    }

    /// Outcomes that the server has not acknowledged, the oldest first.
    pub(crate) fn unacknowledged(&self) -> Vec<OrderResult> {
        let mut open: Vec<&Entry> = self
            .entries
            .values()
            .filter(|e| e.acknowledged.is_none() && e.result.is_some())
            .collect();
        open.sort_by_key(|e| e.place);
        open.into_iter().filter_map(|e| e.result.clone()).collect()
    }

    /// Whether there are such outcomes.
    pub(crate) fn has_unacknowledged(&self) -> bool {
        self.entries.values().any(|e| e.acknowledged.is_none() && e.result.is_some())
    }

    /// Orders that had begun and not ended, with what was to be done and when it began.
    pub(crate) fn interrupted(&self) -> Vec<(String, Action, i64)> {
        let mut open: Vec<(u64, String, Action, i64)> = self
            .entries
            .iter()
            .filter(|(_, e)| e.result.is_none())
            .filter_map(|(id, e)| {
                e.began.clone().map(|(action, at)| (e.place, id.clone(), action, at))
            })
            .collect();
        open.sort_by_key(|(place, ..)| *place);
        open.into_iter().map(|(_, id, action, at)| (id, action, at)).collect()
    }

    /// Rewrites the journal without what need not be kept; the ids stay.
    pub(crate) fn compact(&mut self, now: i64) -> Result<()> {
        let mut stale = false;
        for entry in self.entries.values_mut() {
            let Some(result) = &entry.result else { continue };
            let done = entry.acknowledged.is_some_and(|at| now.saturating_sub(at) > KEEP);
            if done || now.saturating_sub(result.at) > GIVE_UP {
                *entry = Entry { place: entry.place, ..Entry::default() };
                stale = true;
            }
        }
        if !stale {
            return Ok(());
        }
        let mut order: Vec<(&u64, &String)> =
            self.entries.iter().map(|(id, e)| (&e.place, id)).collect();
        order.sort();
        let mut text = Vec::new();
        for (_, id) in order {
            let Some(entry) = self.entries.get(id) else { continue };
            let mut records = Vec::new();
            if let Some((action, at)) = &entry.began {
                // The rest of the order was checked when it began and is not asked for again.
                let order = Order {
                    id: id.clone(),
                    agent: String::new(),
                    issued: 0,
                    expires: 0,
                    generation: 0,
                    action: action.clone(),
                };
                records.push(Record::Began { order: Box::new(order), at: *at });
            }
            if let Some(result) = &entry.result {
                records.push(Record::Ended { result: Box::new(result.clone()) });
            }
            if let Some(at) = entry.acknowledged {
                records.push(Record::Acknowledged { order: id.clone(), at });
            }
            if records.is_empty() {
                records.push(Record::Known { order: id.clone() });
            }
            for record in &records {
                spell(record, &mut text)?;
            }
        }
        for (name, (generation, order)) in &self.families {
            let (name, order) = (name.clone(), order.clone());
            spell(&Record::Family { name, generation: *generation, order }, &mut text)?;
        }
        files::replace(&self.path, &text)?;
        self.file = OpenOptions::new()
            .append(true)
            .open(&self.path)
            .during(format_args!("cannot open {}", self.path.display()))?;
        self.length = text.len() as u64;
        Ok(())
    }

    fn append(&mut self, records: Vec<Record>) -> Result<()> {
        let mut text = Vec::new();
        for record in &records {
            spell(record, &mut text)?;
        }
        if let Err(e) = self.file.write_all(&text) {
            // Half a line must not stand before the next one.
            let _ = self.file.set_len(self.length);
            let _ = self.file.seek(SeekFrom::Start(self.length));
            return Err(Fault::new(format!("cannot write the journal: {e}")));
        }
        if let Err(e) = self.file.sync_data() {
            tracing::error!("the journal may not be on disk, so the agent ends: {e}");
            std::process::exit(1);
        }
        self.length += text.len() as u64;
        for record in records {
            note(&mut self.entries, &mut self.families, &mut self.places, record);
        }
        Ok(())
    }
}

fn spell(record: &Record, text: &mut Vec<u8>) -> Result<()> {
    let json = serde_json::to_string(record).during("cannot write the journal")?;
    let sum = crc32fast::hash(json.as_bytes());
    text.extend_from_slice(format!("{sum:08x} {json}\n").as_bytes());
    Ok(())
}

fn read_line(line: &[u8]) -> Option<Record> {
    let text = std::str::from_utf8(line).ok()?;
    let (sum, json) = text.split_once(' ')?;
    let sum = u32::from_str_radix(sum, 16).ok()?;
    if crc32fast::hash(json.as_bytes()) != sum {
        return None;
    }
    serde_json::from_str(json).ok()
}

fn understand(bytes: &[u8]) -> Content {
    let mut content = Content {
        entries: HashMap::new(),
        families: BTreeMap::new(),
        places: 0,
        damaged: 0,
        sound: 0,
    };
    let mut at = 0_u64;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        at += line.len() as u64;
        let record = line.strip_suffix(b"\n").and_then(read_line);
        let last = at == bytes.len() as u64;
        match record {
            Some(record) => {
                note(&mut content.entries, &mut content.families, &mut content.places, record);
                content.sound = at;
            }
            // Torn: what is left of it goes.
            None if last => {}
            None => {
                content.damaged += 1;
                content.sound = at;
            }
        }
    }
    content
}

fn note(
    entries: &mut HashMap<String, Entry>,
    families: &mut BTreeMap<String, (i64, String)>,
    places: &mut u64,
    record: Record,
) {
    match record {
        Record::Began { order, at } => {
            place(entries, places, order.id).began = Some((order.action, at));
        }
        Record::Ended { result } => {
            let id = result.order.clone();
            place(entries, places, id).result = Some(*result);
        }
        Record::Acknowledged { order, at } => {
            let entry = place(entries, places, order);
            entry.acknowledged = Some(at);
            entry.began = None;
        }
        Record::Known { order } => {
            place(entries, places, order);
        }
        Record::Family { name, generation, order } => {
            families.insert(name, (generation, order));
        }
    }
}

fn place<'a>(
    entries: &'a mut HashMap<String, Entry>,
    places: &mut u64,
    id: String,
) -> &'a mut Entry {
    let entry = entries.entry(id).or_default();
    if entry.place == 0 {
        *places += 1;
        entry.place = *places;
    }
    entry
}

#[cfg(test)]
mod tests {
    use riposte_wire::Outcome;

    use super::*;

    fn order(id: &str, generation: i64) -> Order {
        Order {
            id: id.into(),
            agent: "me".into(),
            issued: 0,
            expires: i64::MAX,
            generation,
            action: Action::Release,
        }
    }

    fn result(id: &str, at: i64) -> OrderResult {
        OrderResult {
            order: id.into(),
            began: at,
            at,
            outcome: Outcome::Succeeded,
            read_back: None,
            found: None,
        }
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn what_was_begun_is_known_ever_after() {
        let folder = folder();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, 0).unwrap();
        journal.begin(&order("a", 4), 1).unwrap();
        assert!(journal.begin(&order("a", 5), 1).is_err());
        journal.end(result("a", 2)).unwrap();
        journal.begin(&order("b", 5), 3).unwrap();
        drop(journal);
        let mut journal = Journal::open(&path, 4).unwrap();
        assert!(journal.knows("a") && journal.knows("b") && !journal.knows("c"));
        assert_eq!(journal.unacknowledged(), [result("a", 2)]);
        assert_eq!(journal.interrupted(), [("b".to_owned(), Action::Release, 3)]);
        assert_eq!(journal.open_orders(), ["a", "b"]);
        assert_eq!(journal.last("isolation"), Some((5, "b")));
        journal.acknowledge(&["a".into(), "zzz".into(), "b".into()], 5).unwrap();
        assert!(journal.unacknowledged().is_empty());
        assert_eq!(journal.open_orders(), ["b"]);
        drop(journal);
        // A week later the outcome is gone, the id and the generation are not.
        let journal = Journal::open(&path, 5 + KEEP + 1).unwrap();
        let size = std::fs::metadata(&path).unwrap().len();
        assert!(journal.knows("a"));
        assert_eq!(journal.last("isolation"), Some((5, "b")));
        assert_eq!(journal.interrupted().len(), 1);
        drop(journal);
        let journal = Journal::open(&path, 5 + KEEP + 2).unwrap();
        assert!(journal.knows("a") && journal.interrupted().len() == 1);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), size);
    }

    #[test]
    fn a_torn_last_line_is_cut_off_at_every_byte() {
        let folder = folder();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, 0).unwrap();
        journal.begin(&order("a", 1), 1).unwrap();
        journal.end(result("a", 2)).unwrap();
        let before = std::fs::metadata(&path).unwrap().len() as usize;
        journal.end(result("b", 2)).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for end in before..whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let mut journal = Journal::open(&path, 3).unwrap();
            assert!(journal.knows("a") && !journal.knows("b"), "{end}");
            assert_eq!(journal.damaged(), 0);
            journal.end(result("c", 4)).unwrap();
            drop(journal);
            let journal = Journal::open(&path, 5).unwrap();
            assert!(journal.knows("c") && journal.damaged() == 0);
        }
    }

    #[test]
    fn a_damaged_line_costs_itself_and_no_other() {
        let folder = folder();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, 0).unwrap();
        for id in ["a", "b", "c"] {
            journal.end(result(id, 1)).unwrap();
        }
        drop(journal);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let journal = Journal::open(&path, 2).unwrap();
        assert_eq!(journal.damaged(), 1);
        assert!(journal.knows("a") && !journal.knows("b") && journal.knows("c"));
    }
}
