use protocol::UserId;

use super::*;

const SERVER: &str = "http://127.0.0.1:8080";

fn take(folder: &Path, slot: Option<&str>) -> Result<Arc<State>, StateError> {
    let place = StatePlace::Folder(folder.to_owned());
    State::take(&place, SERVER, "Ann", slot).map(|state| state.expect("a folder is named"))
}

fn login(device: u64, refresh: &str) -> Login {
    Login {
        token: "t".into(),
        user: UserId(1),
        device: DeviceId(device),
        expires_ms: 0,
        refresh: refresh.into(),
        refresh_expires_ms: 0,
        chat: "ws://127.0.0.1/ws".into(),
    }
}

#[test]
fn what_is_kept_comes_back_and_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let state = take(folder.path(), None).unwrap();
    state.logged_in(&login(7, "one"));
    state.complete(Cursor { generation: Generation(3), at: InboxSeq(9) });
    state.shown(ChannelId(u128::MAX), Seq(4));
    state.flush();
    let kept = state.kept();
    let path = state.path.clone();
    drop(state);
    // The same user in another case, at the same server with a slash behind.
    let place = StatePlace::Folder(folder.path().to_owned());
    let again = State::take(&place, "HTTP://127.0.0.1:8080/", "ann ", None).unwrap().unwrap();
    assert_eq!((again.kept(), again.slot()), (kept, "1"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn two_clients_at_once_are_two_devices() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (take(folder.path(), None).unwrap(), take(folder.path(), None).unwrap());
    assert_eq!((first.slot(), second.slot()), ("1", "2"));
    assert!(matches!(take(folder.path(), Some("2")), Err(StateError::Taken(_))));
    assert_eq!(take(folder.path(), Some("phone")).unwrap().slot(), "phone");
    drop(first);
    assert_eq!(take(folder.path(), None).unwrap().slot(), "1");
    let all: Vec<_> = (0..SLOTS_MAX - 1).map(|_| take(folder.path(), None).unwrap()).collect();
    assert!(matches!(take(folder.path(), None), Err(StateError::AllTaken)), "{}", all.len());
    for bad in ["", "..", "a/b", &"x".repeat(41)] {
        assert!(matches!(take(folder.path(), Some(bad)), Err(StateError::BadSlot(_))), "{bad}");
    }
}

#[test]
fn a_token_that_was_shown_long_ago_is_not_shown_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = take(folder.path(), None).unwrap();
    assert_eq!(state.refresh(), None);
    state.logged_in(&login(7, "one"));
    assert_eq!(state.refresh().as_deref(), Some("one"));
    state.renewing();
    assert_eq!(state.refresh().as_deref(), Some("one"), "the server forgives a repeat at once");
    let long_ago = now_ms() - FORGIVEN_MS;
    state.change(|kept| kept.shown_ms = Some(long_ago));
    drop(state);
    let state = take(folder.path(), None).unwrap();
    assert_eq!(state.refresh(), None);
    // A second try does not make it young again.
    state.renewing();
    assert_eq!(state.kept().shown_ms, Some(long_ago));
    assert_eq!(state.kept().device, Some(DeviceId(7)), "the password goes on with the device");
    state.renewed(&login(7, "two"));
    assert_eq!(state.refresh().as_deref(), Some("two"));
    // A clock that stepped back says nothing about how long ago it was.
    state.change(|kept| kept.shown_ms = Some(now_ms() + 60_000));
    assert_eq!(state.refresh(), None);
}

#[test]
fn another_device_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let state = take(folder.path(), None).unwrap();
    state.logged_in(&login(7, "one"));
    state.complete(Cursor { generation: Generation(3), at: InboxSeq(9) });
    state.logged_in(&login(7, "two"));
    assert_eq!(state.kept().cursor.at, InboxSeq(9));
    state.logged_in(&login(8, "three"));
    assert_eq!(state.kept().cursor, Cursor::default());
    state.forget();
    assert!(!state.path.exists());
    state.flush();
    assert!(!state.path.exists(), "what was forgotten is not written again");
}

#[test]
fn a_file_that_is_none_is_begun_anew_and_a_newer_one_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = take(folder.path(), None).unwrap().path.clone();
    for text in ["", "{", "[]", "{\"version\":1,\"device\":5,\"cursor\":-1}", "{\"version\":0}"] {
        fs::write(&path, text).unwrap();
        assert_eq!(take(folder.path(), None).unwrap().kept(), Kept::default(), "{text}");
    }
    fs::write(&path, "{\"version\":2}").unwrap();
    assert!(matches!(take(folder.path(), None), Err(StateError::Newer { found: 2, .. })));
}

#[test]
fn names_are_good_for_files() {
    for (name, file) in
        [("ann", "ann"), ("..", "_.."), ("a/../b", "a-..-b"), ("http://[::1]:8080", "http-%5B--1%5D-8080")]
    {
        assert_eq!(part(name), file);
    }
    let long = part(&"가".repeat(64));
    assert!(long.len() <= PART_BYTES_MAX && long != part(&"가".repeat(65)));
}
