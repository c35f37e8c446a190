//! Channels of all that a channel can be: exported, imported and exported again. The second export is the first, byte for byte, and
//! the store that it was imported into is as a store must be.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use api::{Accounts, Database, Export, ExportBroken, ExportOf, ExportRefusal, Name, Who};
use protocol::body::about::{EditText, Pin, React, Recall};
use protocol::body::own::{Hide, SetDraft, SetPrefs};
use protocol::body::rules::{BanMember, MuteMember, SetSlow, muted_until_ms};
use protocol::body::talk::Talk;
use protocol::body::{Body, encode};
use protocol::commit::{ErasedRow, FloorRow, IntervalRow, PositionRow, RetentionRow, Rule, Sanction};
use protocol::partition::mix64;
use protocol::query::{Answer, Query};
use protocol::{BayId, ChannelId, Seq, UserId};
use storage::{Row, Store, Tier};

use super::import::{Importer, Order};
use super::reader::Lines;
use super::running::Exports;

#[path = "../../../storage/tests/world/mod.rs"]
mod world;

use world::{PAGE, World, findings};

/// The whole of an export, or where it broke off.
async fn collect(mut export: Export) -> Result<String, ExportBroken> {
    let mut all = Vec::new();
    while let Some(piece) = export.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(String::from_utf8(all).unwrap())
}

const USERS: u64 = 6;

/// Numbers that follow from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = mix64(self.0.wrapping_add(0x9e37_79b9_7f4a_7c15));
        self.0 % bound
    }

    fn user(&mut self) -> UserId {
        UserId(1 + self.below(USERS))
    }
}

/// People with the ids of the world; the last has left.
async fn accounts(data: &Path) -> Accounts {
    let accounts = Accounts::open(&Database::in_directory(data)).await.unwrap();
    let mut importing = accounts.begin_import().await.unwrap();
    for number in 1..USERS {
        let name = format!("user-{number}");
        let (user, display_name) = (UserId(number), format!("차 \"{number}\"\n"));
        let who = Who { user, name: name.clone(), display_name, created_ms: number };
        importing.add(&who, &Name::parse(&name).unwrap()).await.unwrap();
    }
    importing.add_gone(UserId(USERS), 9).await.unwrap();
    importing.commit().await.unwrap();
    accounts
}

fn say<T: Body>(world: &mut World, channel: ChannelId, sender: UserId, body: &T) -> Seq {
    let frame = encode(world.next_send(), body);
    world.append(channel, sender, &frame)
}

fn time_of(world: &World, channel: ChannelId) -> u64 {
    match world.read(&Query::Channel(channel)) {
        Answer::Channel { time_ms, .. } => time_ms,
        other => panic!("{other:?}"),
    }
}

fn time_at(world: &World, channel: ChannelId, seq: Seq) -> u64 {
    let (after, before) = (Seq(seq.0 - 1), seq.next());
    match world.read(&Query::History { channel, after, before, newest: false, page: PAGE }) {
        Answer::History(frames) => frames[0].read_stamp().unwrap().time_ms,
        other => panic!("{other:?}"),
    }
}

fn is_member(world: &World, channel: ChannelId, user: UserId) -> bool {
    world.groups[&channel].members.get(&user).is_some_and(world::Stays::is_member)
}

/// A text that is still one, if there is any.
fn target(world: &World, channel: ChannelId, draw: &mut Draw, of: Option<UserId>) -> Option<Seq> {
    let floor = floor(world, channel);
    let head = world.heads[&channel].0;
    (0..8).map(|_| Seq(1 + draw.below(head))).find(|seq| {
        let query = Query::Target { channel, seq: *seq, user: UserId(1), edits: false };
        let Answer::Target { message: Some((kind, sent)), .. } = world.read(&query) else { return false };
        kind == protocol::Kind::SEND_TEXT && *seq >= floor && of.is_none_or(|of| sent.sender == of)
    })
}

fn floor(world: &World, channel: ChannelId) -> Seq {
    world.stores[0].floor(channel).unwrap().below
}

/// Something that happens in a group.
fn step(world: &mut World, group: ChannelId, draw: &mut Draw) {
    let channel = group.0;
    let user = draw.user();
    if !is_member(world, group, user) {
        match draw.below(3) {
            0 => drop(world.add(group, UserId(1), user)),
            1 => {
                world.invite(group, UserId(1), user);
                if draw.below(2) == 0 {
                    world.accept(group, user);
                }
            }
            _ => {}
        }
        return;
    }
    match draw.below(16) {
        0..3 => drop(world.text(
            group,
            user,
            ["안녕", "hello \"you\"\n", "\u{1}\u{2028}🦀"][draw.below(3) as usize],
        )),
        3 | 4 => about(world, group, user, draw),
        5 => {
            if let Some(target) = target(world, group, draw, Some(user)) {
                let edit = EditText { channel, target: target.0, text: "reads otherwise".into() };
                say(world, group, user, &edit);
            }
        }
        6 | 7 => {
            if let Some(target) = target(world, group, draw, None) {
                let emoji = ["👍", "+1", "하하"][draw.below(3) as usize].to_owned();
                say(world, group, user, &React { channel, target: target.0, on: draw.below(4) > 0, emoji });
            }
        }
        8 => {
            if let Some(target) = target(world, group, draw, None) {
                say(world, group, user, &Pin { channel, target: target.0, on: draw.below(4) > 0 });
            }
        }
        9 => {
            if let Some(target) = target(world, group, draw, Some(user)) {
                say(world, group, user, &Recall { channel, target: target.0 });
            }
        }
        10 if user != UserId(1) => {
            world.remove(group, if draw.below(2) == 0 { user } else { UserId(1) }, user);
        }
        11 => drop(world.rename(group, user, &format!("name {}", draw.below(9)))),
        12 if world.groups[&group].grown.is_none() && draw.below(3) == 0 => {
            world.grow(group, UserId(1));
        }
        13 => rows(world, group, user, draw),
        14 => rules(world, group, draw),
        15 => purge(world, group, draw),
        _ => {}
    }
}

/// A text with what it is about.
fn about(world: &mut World, group: ChannelId, user: UserId, draw: &mut Draw) {
    let mentions: Vec<UserId> = (1..=3).map(UserId).filter(|other| is_member(world, group, *other)).collect();
    let is_small = world.groups[&group].grown.is_none();
    let reply_to = target(world, group, draw, None);
    let thread = reply_to.filter(|_| draw.below(2) == 0);
    let forwarded_from = (draw.below(3) == 0).then_some(UserId(4));
    let all = is_small && draw.below(4) == 0;
    world.about(group, user, &Talk { reply_to, thread, forwarded_from, mentions, all, online: false });
}

/// What is written besides messages: how far one has come, a role, how long the channel keeps what is said.
fn rows(world: &mut World, channel: ChannelId, user: UserId, draw: &mut Draw) {
    let head = world.heads[&channel];
    let row = PositionRow { read: Seq(draw.below(head.0 + 1)), delivered: head, hides: draw.below(2) == 0 };
    let mut rows = vec![Row::Position { channel, user, row }];
    if draw.below(4) == 0 {
        // An erasure that has found nothing yet.
        rows.insert(
            0,
            Row::Erased { channel, user, row: ErasedRow { next: Seq(1), ..ErasedRow::default() } },
        );
    }
    // No owner: a large channel counts them, and nobody here does.
    let last = world.groups[&channel].members[&user].0.len();
    let joined = world.groups[&channel].members[&user].0[last - 1].joined;
    let row = IntervalRow { number: u32::try_from(last).unwrap(), role: 1, left: None, name: String::new() };
    rows.push(Row::Interval { channel, user, joined, row });
    let row = (draw.below(2) == 0).then_some(RetentionRow { days: 9, messages: draw.below(99) });
    rows.push(Row::Retention { channel, row });
    world.commit(BayId::of_channel(channel), rows);
}

/// What is laid down, with the rows that a channel's home writes with it.
fn rules(world: &mut World, group: ChannelId, draw: &mut Draw) {
    let (channel, bay) = (group.0, BayId::of_channel(group));
    let one = UserId(1);
    let rule = match draw.below(3) {
        0 => {
            let interval_s = u32::try_from(draw.below(3)).unwrap();
            say(world, group, one, &SetSlow { channel, interval_s });
            Rule::Slow(interval_s)
        }
        1 => {
            let (user, for_s) = (draw.user(), 3600);
            if !is_member(world, group, user) {
                return;
            }
            let banned = sanction(world, group, user).is_banned;
            say(world, group, one, &MuteMember { channel, member: user.0, for_s });
            let muted_until_ms = muted_until_ms(time_of(world, group), for_s);
            Rule::Sanction { user, sanction: Sanction { muted_until_ms, is_banned: banned } }
        }
        // One who never was a member.
        _ => {
            let user = UserId(40);
            say(world, group, one, &BanMember { channel, member: user.0 });
            Rule::Sanction { user, sanction: Sanction { muted_until_ms: 0, is_banned: true } }
        }
    };
    world.commit(
        bay,
        vec![
            Row::Rule { channel: group, rule },
            Row::Rule { channel: group, rule: Rule::Sent { user: one, at_ms: 7 } },
        ],
    );
}

fn sanction(world: &World, channel: ChannelId, user: UserId) -> Sanction {
    let Answer::Channel { rules, .. } = world.read(&Query::Channel(channel)) else { panic!() };
    rules.sanctions.into_iter().find(|(of, _)| *of == user).map(|(_, sanction)| sanction).unwrap_or_default()
}

fn purge(world: &mut World, channel: ChannelId, draw: &mut Draw) {
    let (from, head) = (floor(world, channel), world.heads[&channel]);
    let below = Seq(from.0 + draw.below(head.0 / 3 + 1));
    // Everything may go, and does at times.
    let below = if draw.below(12) == 0 { head.next() } else { below.min(head.next()) };
    if below > from.max(Seq(1)) {
        // What is purged is older than what is on its way.
        world.deliver_all();
        let row = FloorRow { below, time_ms: time_at(world, channel, Seq(below.0 - 1)) };
        world.commit(BayId::of_channel(channel), vec![Row::Floor { channel, from, row }]);
    }
}

/// A group, a direct channel and a user's own.
fn live(seed: u64) -> (World, [ChannelId; 3]) {
    let (mut world, mut draw) = (World::memory(), Draw(seed));
    for user in 1..=USERS {
        world.account(UserId(user));
    }
    let group = world.create(UserId(1), &[2, 3], "마루");
    for _ in 0..60 {
        step(&mut world, group, &mut draw);
    }
    let (one, two) = (UserId(1), UserId(2));
    let (direct, own) = (ChannelId::direct(one, two), ChannelId::own(one));
    world.text(direct, one, "first");
    say(&mut world, direct, two, &React { channel: direct.0, target: 1, on: true, emoji: "+".into() });
    world.commit(
        BayId::of_channel(direct),
        vec![Row::Position {
            channel: direct,
            user: two,
            row: PositionRow { read: Seq(1), ..PositionRow::default() },
        }],
    );
    if draw.below(2) == 0 {
        purge(&mut world, direct, &mut draw);
    }
    world.text(own, one, "saved");
    say(
        &mut world,
        own,
        one,
        &SetDraft { channel: own.0, about: group.0, thread: 0, text: "not sent".into() },
    );
    say(&mut world, own, one, &Hide { channel: own.0, about: group.0, seq: 1, through: 2 });
    let prefs = SetPrefs {
        channel: own.0,
        about: direct.0,
        muted_until_ms: 9,
        pinned: 1,
        marked_unread: true,
        notify: 1,
        archived: false,
    };
    say(&mut world, own, one, &prefs);
    world.deliver_all();
    (world, [group, direct, own])
}

async fn exported(store: &Arc<Store>, accounts: &Accounts, of: ExportOf) -> String {
    let export = Exports::new(store.clone(), accounts.clone()).begin(of).await.unwrap();
    collect(export).await.unwrap()
}

/// Without the header, which has the time.
fn body(text: &str) -> &str {
    text.split_once('\n').unwrap().1
}

/// As `maru admin import` does, but for the accounts.
fn import(files: &[String]) -> Result<Store, String> {
    let (store, path) = (Store::memory(), Path::new("f"));
    let mut importer = Importer::new(&store);
    for file in files {
        let (mut lines, header) = Lines::begin(path, file.as_bytes()).map_err(|wrong| wrong.to_string())?;
        let mut order = Order::begin(&header)?;
        let mut of = importer.begin(order.channel());
        while let Some(line) = lines.next().map_err(|wrong| wrong.to_string())? {
            order
                .take(&line)
                .and_then(|()| importer.take(&mut of, line))
                .map_err(|what| lines.wrong(what).to_string())?;
        }
        order.end()?;
        importer.end(of)?;
    }
    Ok(store)
}

/// What of a user's export belongs to channels: all behind the first of them. Before it stands what is the user's own, which no
/// channel brings along; mentions of what was purged are among it.
fn of_channels(text: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.contains("\"line\":\"in_channel\""));
    lines.take_while(|line| !line.starts_with("{\"line\":\"end\"")).map(|line| format!("{line}\n")).collect()
}

fn only_odd(findings: Vec<String>) -> Vec<String> {
    findings.into_iter().filter(|line| !line.starts_with("odd")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_imported_is_exported_again_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = accounts(folder.path()).await;
    let (mut met, mut delivered) = (BTreeMap::<String, usize>::new(), 0);
    for seed in 0..60 {
        let (world, channels) = live(seed);
        let store = &world.stores[0];
        assert_eq!(only_odd(findings(store)), [] as [String; 0], "seed {seed}: before");
        let mut files = Vec::new();
        for channel in channels {
            files.push(exported(store, &accounts, ExportOf::Channel(channel)).await);
        }
        for line in files.iter().flat_map(|file| file.lines().skip(1)) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            *met.entry(line["line"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        let imported = Arc::new(import(&files).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}")));
        for (channel, file) in channels.into_iter().zip(&files) {
            let again = exported(&imported, &accounts, ExportOf::Channel(channel)).await;
            assert_eq!(body(&again), body(file), "seed {seed}");
        }
        // The world delivers by stays where the core reads messages: it opens lists again by messages that were purged, and of a
        // large channel does not meet those that would put them right.
        let group = channels[0];
        if world.groups[&group].grown.is_some() && floor(&world, group) > Seq(0) {
            continue;
        }
        delivered += 1;
        // What a start delivers: then inboxes and lists are what they were to everybody.
        let mut again = World::new(vec![imported.clone()]);
        for bay in BayId::all() {
            again.set_log(bay, imported.state(bay).unwrap().fanout_head);
        }
        for source in again.sources() {
            again.deliver(source, protocol::Bays::ALL, PAGE);
        }
        assert_eq!(only_odd(findings(&imported)), [] as [String; 0], "seed {seed}: after");
        for user in (1..=3).map(UserId) {
            let list = Query::Joined { user, after: ChannelId(0), limit: 99 };
            let lists =
                [store, &imported].map(|store| format!("{:?}", store.read(&list, Tier::Any).unwrap()));
            assert_eq!(lists[0], lists[1], "seed {seed}: the list of {user}");
            let mut told = Vec::new();
            for store in [store, &imported] {
                told.push(exported(store, &accounts, ExportOf::User(user)).await);
            }
            let [before, after] = [&told[0], &told[1]].map(|told| of_channels(told));
            assert!(before.contains("\"line\":\"in_channel\""), "seed {seed}");
            assert_eq!(before, after, "seed {seed}: what {user} may read");
        }
    }
    assert!(delivered > 10, "{delivered}");
    // Every kind of line was there: a test that meets none of a kind says nothing of it.
    for kind in [
        "channel",
        "retention",
        "floor",
        "slow",
        "pins",
        "user",
        "position",
        "stay",
        "erased",
        "sanction",
        "sent",
        "message",
        "said",
        "reaction",
        "thread",
        "end",
    ] {
        assert!(met.get(kind).is_some_and(|count| *count > 1), "{kind}: {met:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_stands_where_it_may_not_is_refused_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = accounts(folder.path()).await;
    let (world, [group, ..]) = live(3);
    let whole = exported(&world.stores[0], &accounts, ExportOf::Channel(group)).await;
    // With a right count and checksum, as somebody would write it by hand.
    let sealed = |lines: &[String]| {
        let body: String = lines[1..].concat();
        let sum = super::CRC32C.checksum(body.as_bytes());
        format!(
            "{}{body}{{\"line\":\"end\",\"lines\":{},\"crc32c\":\"{sum:08x}\"}}\n",
            lines[0],
            lines.len() - 1
        )
    };
    let lines: Vec<String> = whole.lines().map(|line| format!("{line}\n")).collect();
    let lines = &lines[..lines.len() - 1];
    assert!(import(&[sealed(lines)]).is_ok());
    let at =
        |word: &str| lines.iter().position(|line| line.contains(&format!("\"line\":\"{word}\""))).unwrap();
    let refused = |changed: Vec<String>, says: &str| {
        let wrong = import(&[sealed(&changed)]).err().unwrap_or_else(|| panic!("{says}: taken"));
        assert!(wrong.contains(says), "{says}: {wrong}");
    };
    let without = |place: usize| [&lines[..place], &lines[place + 1..]].concat();
    let twice = |place: usize| [&lines[..=place], &lines[place..]].concat();
    let changed = |place: usize, from: &str, to: &str| {
        let mut changed = lines.to_vec();
        assert!(changed[place].contains(from), "{from}: {}", changed[place]);
        changed[place] = changed[place].replacen(from, to, 1);
        changed
    };
    refused(without(at("channel")), "begins with the line `channel`");
    refused(twice(at("channel")), "begins with the line `channel`");
    // One of which nothing is said.
    let is_message = |line: &String| line.contains("\"line\":\"message\"");
    let lone = lines.windows(2).position(|two| two.iter().all(is_message)).unwrap();
    refused(without(lone), "stands behind message");
    refused(twice(lone), "stands behind message");
    refused(without(at("user")), "the line `user` before it is another one's");
    refused([lines, &lines[at("user")..=at("user")]].concat(), "does not stand where such a line does");
    refused(changed(0, &group.to_string(), "77"), "another channel's");
    refused(changed(at("channel"), "\"kind\":\"group\"", "\"kind\":\"direct\""), "another channel's");
    refused(changed(at("message"), "\"frame\":\"", "\"frame\":\"!"), "not base 64");
    refused(changed(at("message"), "\"sender\":\"", "\"sender\":\"9"), "its fields are not those of `frame`");
    refused(changed(at("stay"), "\"role\":\"", "\"role\":\"grand"), "is no role");
    refused(changed(at("user"), "\"user\":\"1\"", "\"user\":\"01\""), "is no user's id");
    let user = exported(&world.stores[0], &accounts, ExportOf::User(UserId(1))).await;
    assert!(import(&[user]).unwrap_err().contains("a user's export"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_at_a_time_of_a_user_and_a_few_in_all() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = accounts(folder.path()).await;
    let (world, [group, ..]) = live(1);
    let exports = Exports::new(world.stores[0].clone(), accounts);
    let busy = |outcome: Result<Export, ExportRefusal>| match outcome {
        Err(ExportRefusal::Busy(words)) => words,
        other => panic!("{other:?}"),
    };
    for unknown in
        [ExportOf::User(UserId(USERS)), ExportOf::User(UserId(99)), ExportOf::Channel(ChannelId(99))]
    {
        assert_eq!(exports.begin(unknown).await.unwrap_err(), ExportRefusal::Unknown);
    }
    let places = exports.take_places();
    assert!(busy(exports.begin(ExportOf::Channel(group)).await).contains("as many"));
    drop(places);
    let _users = exports.take_user(UserId(2));
    assert!(busy(exports.begin(ExportOf::User(UserId(2))).await).contains("this user"));
    assert!(collect(exports.begin(ExportOf::User(UserId(3))).await.unwrap()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_cannot_be_made_whole_breaks_off() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = accounts(folder.path()).await;
    let (mut world, [group, ..]) = live(2);
    let head = world.heads[&group];
    world.heads.insert(group, head.next());
    world.text(group, UserId(1), "behind a hole");
    let exports = Exports::new(world.stores[0].clone(), accounts);
    let export = exports.begin(ExportOf::Channel(group)).await.unwrap();
    assert!(collect(export).await.is_err());
}
