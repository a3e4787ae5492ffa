//! Cuts what is reported to what the server takes: the lists in it become shorter, and how much is
//! left out is said. What an outcome is judged by is never in a list.

use serde_json::{Value, json};

/// No value of an outcome is longer, spelled as JSON: the server keeps 256 KiB.
pub(crate) const VALUE: usize = 240 << 10;
/// No report of outcomes is longer.
pub(crate) const REPORT: usize = 4 << 20;

/// A value that is short enough: its longest list loses its end until it is.
pub(crate) fn fit(mut value: Value, most: usize) -> Value {
    let mut omitted = 0;
    while length(&value) > most {
        let Some(members) = value.as_object_mut() else { return json!({"tooLong": true}) };
        let longest = members.values_mut().filter_map(Value::as_array_mut).max_by_key(|l| l.len());
        match longest {
            Some(list) if !list.is_empty() => {
                let keep = list.len() * 3 / 4;
                omitted += list.len() - keep;
                list.truncate(keep);
                members.insert("omitted".to_owned(), json!(omitted));
            }
            _ => return json!({"tooLong": true}),
        }
    }
    value
}

/// How long a value is as JSON.
pub(crate) fn length(value: &Value) -> usize {
    value.to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_list_is_cut_and_the_rest_stays() {
        let list: Vec<Value> = (0..10_000).map(|n| json!({"n": n})).collect();
        let cut = fit(json!({"inForce": list, "missing": 0, "few": [1, 2]}), 10_000);
        assert!(length(&cut) <= 10_000);
        assert_eq!((&cut["missing"], &cut["few"]), (&json!(0), &json!([1, 2])));
        let kept = cut["inForce"].as_array().unwrap().len();
        assert_eq!(cut["omitted"], 10_000 - kept);
        let short = json!({"a": [1]});
        assert_eq!(fit(short.clone(), 100), short);
        assert_eq!(fit(json!("x".repeat(500)), 100), json!({"tooLong": true}));
        assert_eq!(fit(json!({"a": "x".repeat(500), "b": [1]}), 100), json!({"tooLong": true}));
    }
}
