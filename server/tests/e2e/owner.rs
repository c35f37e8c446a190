//! Tools that root runs on the directory of another user: what they make is that user's, whose server goes on with it. The
//! way to the directory may be closed to its owner, as systemd's `/var/lib/private` is.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::backup::{people, restore, words};
use crate::node::{Node, admin, maru};

/// Nobody has it here.
const OWNER: u32 = 54_321;

fn all(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all(&path, into);
        }
        into.push(path);
    }
}

fn strangers(data: &Path) -> Vec<PathBuf> {
    let mut found = vec![data.to_owned()];
    all(data, &mut found);
    found.retain(|path| {
        let meta = fs::metadata(path).unwrap();
        (meta.uid(), meta.gid()) != (OWNER, OWNER) || meta.mode() & 0o077 != 0 && !path.ends_with("LOG")
    });
    found
}

#[test]
fn what_root_makes_in_the_directory_of_another_user_is_that_users() {
    let mut node = Node::start(1, &[]);
    people(&node, 3);
    assert_eq!(node.stop(), Some(0));
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("private");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let (real, data) = (closed.join("maru"), folder.path().join("maru"));
    fs::rename(&node.data, &real).unwrap();
    std::os::unix::fs::symlink("private/maru", &data).unwrap();
    let mut paths = vec![real.clone()];
    all(&real, &mut paths);
    if paths.iter().any(|path| chown(path, Some(OWNER), Some(OWNER)).is_err()) {
        eprintln!("SKIPPED: this process may not give files away; run it as root");
        return;
    }
    let place = data.to_str().unwrap().to_owned();
    let [backup, tokens] =
        ["backup", "tokens"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    for task in [
        &["check"][..],
        &["keys", "rotate"],
        &["tokens", "add", "--scope", "metrics"],
        &["renew"],
        &["invite"],
        &["list-users"],
        &["stats"],
        &["revoke", "--user", "load000001"],
        &["token", "--user", "load000002"],
        &["create-users", "--count", "5", "--tokens", &tokens],
        &["backup", "--to", &backup],
        &["check"],
    ] {
        let output = admin(&[task, &["--data", &place]].concat());
        assert!(output.status.success(), "{task:?}: {}", words(&output));
        assert_eq!(strangers(&real), Vec::<PathBuf>::new(), "{task:?}");
    }
    // What is not in the directory is root's.
    for path in [&tokens, &format!("{backup}/keys")] {
        let meta = fs::metadata(path).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o777), (0, 0o600), "{path}");
    }
    // A restore into a directory that is made ready for its user.
    let ready = closed.join("ready");
    fs::create_dir(&ready).unwrap();
    chown(&ready, Some(OWNER), Some(OWNER)).unwrap();
    fs::set_permissions(&ready, fs::Permissions::from_mode(0o700)).unwrap();
    let restored = restore(Path::new(&backup), &ready, &[]);
    assert!(restored.status.success(), "{}", words(&restored));
    assert_eq!(strangers(&ready), Vec::<PathBuf>::new());
    // What its user may write to leads nowhere else: root's own files are out of reach for a link that is planted there.
    let precious = folder.path().join("precious");
    fs::write(&precious, "as it was").unwrap();
    std::os::unix::fs::symlink(&precious, ready.join("keys.new")).unwrap();
    let planted = admin(&["keys", "rotate", "--data", ready.to_str().unwrap()]);
    assert!(!planted.status.success() && words(&planted).contains("ermission denied"), "{}", words(&planted));
    assert_eq!(fs::read_to_string(&precious).unwrap(), "as it was");
    serves_its_user(&real);
}

/// The user's own server opens it; what that reads may be closed to others too.
fn serves_its_user(data: &Path) {
    let open = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let (program, place) = (open.path().join("maru"), open.path().join("data"));
    fs::copy(maru(), &program).unwrap();
    fs::rename(data, &place).unwrap();
    let check = Command::new(&program)
        .args(["admin", "check", "--data"])
        .arg(&place)
        .current_dir("/")
        .uid(OWNER)
        .gid(OWNER)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", words(&check));
}
