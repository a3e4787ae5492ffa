//! The agents' own journals on disk: the ground truth of what was begun, in which order, and how it
//! ended.
//!
//! A file of lines, each a checksum and a record (see the agent's `journal`). Only this lab reads it
//! besides the agent, so what changes there must change here. Not here: judging it.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

/// An order as an agent's journal has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its id.
    pub(crate) order: String,
    /// The word of its action, when it was begun.
    pub(crate) word: Option<String>,
    /// How often it was begun.
    pub(crate) begun: u64,
    /// When it was begun first, by the device's clock.
    pub(crate) began: i64,
    /// The generation it was of.
    pub(crate) generation: i64,
    /// How it ended: `succeeded`, `failed`, `refused`, `unknown`.
    pub(crate) ended: Option<String>,
}

/// What one agent wrote, in the order of its first word about each order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Diary {
    /// The device.
    pub(crate) device: String,
    /// The orders.
    pub(crate) entries: Vec<Entry>,
}

/// Reads a journal; one that is not there is empty.
pub(crate) fn read(device: &str, path: &Path) -> Result<Diary, String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    understand(device, &text).map_err(|line| format!("{}: line {line}", path.display()))
}

/// The number of the line that cannot be read is the error; half a last line is none.
fn understand(device: &str, text: &str) -> Result<Diary, usize> {
    let mut diary = Diary { device: device.to_owned(), entries: Vec::new() };
    let mut places: HashMap<String, usize> = HashMap::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if !line.ends_with('\n') {
            break;
        }
        let json = line.split_once(' ').map_or("", |(_, json)| json);
        let record: Value = serde_json::from_str(json).map_err(|_| number + 1)?;
        let id = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut place = |order: String| {
            *places.entry(order.clone()).or_insert_with(|| {
                diary.entries.push(Entry { order, ..Entry::default() });
                diary.entries.len() - 1
            })
        };
        if let Some(began) = record.get("began") {
            let order = &began["order"];
            let place = place(id(&order["id"]));
            if let Some(entry) = diary.entries.get_mut(place) {
                if entry.begun == 0 {
                    entry.began = began["at"].as_i64().unwrap_or(0);
                }
                entry.begun += 1;
                entry.word = order["action"]["do"].as_str().map(str::to_owned);
                entry.generation = order["generation"].as_i64().unwrap_or(0);
            }
        } else if let Some(ended) = record.get("ended") {
            let result = &ended["result"];
            let place = place(id(&result["order"]));
            if let Some(entry) = diary.entries.get_mut(place) {
                entry.ended = result["outcome"]["is"].as_str().map(str::to_owned);
            }
        }
    }
    Ok(diary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_read_as_the_agent_writes_it() {
        let text = concat!(
            "00000000 {\"began\":{\"order\":{\"id\":\"o1\",\"generation\":3,",
            "\"action\":{\"do\":\"release\"}},\"at\":7}}\n",
            "00000000 {\"family\":{\"name\":\"isolation\",\"generation\":3,\"order\":\"o1\"}}\n",
            "00000000 {\"ended\":{\"result\":{\"order\":\"o2\",\"outcome\":{\"is\":\"refused\"}}}}\n",
            "00000000 {\"ended\":{\"result\":{\"order\":\"o1\",\"outcome\":{\"is\":\"succeeded\"}}}}\n",
            "00000000 {\"acknowledged\":{\"order\":\"o1\",\"at\":9}}\n",
            "00000000 {\"beg",
        );
        let diary = understand("d", text).unwrap();
        assert_eq!(diary.entries.len(), 2);
        let first = &diary.entries[0];
        assert_eq!((first.begun, first.began, first.generation), (1, 7, 3));
        assert_eq!(
            (first.word.as_deref(), first.ended.as_deref()),
            (Some("release"), Some("succeeded"))
        );
        assert_eq!(diary.entries[1].begun, 0);
        assert_eq!(understand("d", "nonsense\n"), Err(1));
    }
}
