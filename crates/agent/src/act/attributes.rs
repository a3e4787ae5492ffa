//! Extended attributes of a file: capabilities, labels and whatever users put there.

use std::fs::File;

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};

/// All of them, values in hex. File systems without attributes have none.
pub(crate) fn read(file: &File) -> Vec<(String, String)> {
    let mut names = vec![0; 64 << 10];
    let Ok(length) = flistxattr(file, &mut names[..]) else { return Vec::new() };
    let names = names.get(..length).unwrap_or_default();
    let mut value = vec![0; 64 << 10];
    names
        .split(|b| *b == 0)
        .filter_map(|name| std::str::from_utf8(name).ok())
        .filter(|name| !name.is_empty())
        .filter_map(|name| {
            let length = fgetxattr(file, name, &mut value[..]).ok()?;
            Some((name.to_owned(), hex::encode(value.get(..length)?)))
        })
        .collect()
}

/// Puts them on a file; says which one could not be put.
pub(crate) fn write(file: &File, attributes: &[(String, String)]) -> Result<(), String> {
    for (name, value) in attributes {
        let value = hex::decode(value).map_err(|_| name.clone())?;
        fsetxattr(file, name.as_str(), &value, XattrFlags::empty()).map_err(|_| name.clone())?;
    }
    Ok(())
}
