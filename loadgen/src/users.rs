//! Where users come from: the file of tokens that `maru admin create-users` writes.

use std::collections::HashSet;
use std::path::Path;

use crate::wire::Login;

/// Reads lines of `user TAB device TAB token`.
///
/// # Errors
/// Words that name the line.
pub(crate) fn read(path: &Path) -> Result<Vec<Login>, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("--users {name}: {error}"))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    let logins = lines.map(|(number, line)| {
        parse(line)
            .ok_or_else(|| format!("--users {name}, line {}: expected user TAB device TAB token", number + 1))
    });
    logins.collect()
}

/// Devices of a user follow each other, as many for each.
///
/// # Errors
/// Words.
pub(crate) fn check_each(logins: &[Login], each: usize) -> Result<(), String> {
    let has_all = logins.chunks(each).all(|devices| {
        devices.iter().all(|login| Some(login.user) == devices.first().map(|first| first.user))
    });
    let mut seen = HashSet::new();
    let is_new =
        logins.chunks(each).filter_map(|devices| devices.first()).all(|first| seen.insert(first.user));
    if has_all && is_new {
        return Ok(());
    }
    Err(format!(
        "the users do not have {each} devices each, line by line; --devices-per-user says how many they have"
    ))
}

fn parse(line: &str) -> Option<Login> {
    let mut fields = line.split('\t');
    let (user, _device, token) = (fields.next()?.parse().ok()?, fields.next()?, fields.next()?);
    (fields.next().is_none() && !token.is_empty()).then(|| Login {
        user,
        token: token.to_owned(),
        road: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        std::fs::write(&path, "7\t8\tm1.a.b\n\n9\t10\tm1.c.d\n").unwrap();
        let logins = read(&path).unwrap();
        assert_eq!((logins.len(), logins[1].user, logins[1].token.as_str()), (2, 9, "m1.c.d"));
        for bad in ["7 8 token", "x\t8\ttoken", "7\t8\t", "7\t8\ttoken\tmore"] {
            std::fs::write(&path, format!("7\t8\tm1.a.b\n{bad}\n")).unwrap();
            assert!(read(&path).unwrap_err().contains("line 2"), "{bad}");
        }
        assert!(read(Path::new("/nonexistent/users")).unwrap_err().contains("--users"));
        let of = |users: &[u64]| -> Vec<Login> {
            users.iter().map(|user| Login { user: *user, token: "t".into(), road: None }).collect()
        };
        assert!(check_each(&of(&[1, 2, 3]), 1).is_ok() && check_each(&of(&[1, 1, 2, 2]), 2).is_ok());
        for wrong in [&[1, 1, 2][..], &[1, 2, 1], &[2, 2, 2, 2]] {
            assert!(check_each(&of(wrong), 1).is_err());
        }
        assert!(check_each(&of(&[1, 2, 2, 1]), 2).is_err());
    }
}
