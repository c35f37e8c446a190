use proptest::prelude::*;

use super::*;

const ME: UserId = UserId(0x0101_0101_0101_0101);
const OTHER: UserId = UserId(0x0202_0202_0202_0202);

fn direct(other: u64) -> ChannelId {
    ChannelId::direct(ME, UserId(other))
}

fn written(user: UserId, entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    write(user, entries, &mut out);
    out
}

fn entry(channel: ChannelId, seq: u64) -> Entry {
    (channel, Seq(seq))
}

#[test]
fn golden_runs() {
    let group = ChannelId(0x0a0b);
    // By hand from the description.
    assert_eq!(written(ME, &[entry(group, 300)]), [1, 0, 0x0b, 0x0a, 0, 0, 0, 0, 0, 0, 0xac, 0x02]);
    let own = ChannelId::direct(ME, OTHER);
    assert_eq!(written(ME, &[entry(own, 7)]), [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 7]);
    assert_eq!(written(OTHER, &[entry(own, 7)]), [1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 7]);
    let strange = ChannelId(5 << 64 | 4);
    let whole = [&[1, 4, 4, 0, 0, 0, 0, 0, 0, 0, 5][..], &[0; 7], &[9]].concat();
    assert_eq!(written(ME, &[entry(strange, 9)]), whole);
    let talk =
        [entry(group, 5), entry(group, 6), entry(group, 7), entry(own, 1), entry(group, 8), entry(own, 2)];
    let bytes = [
        &[1][..],
        &[1, 0x0b, 0x0a, 0, 0, 0, 0, 0, 0, 5, 2],
        &[4, 2, 2, 2, 2, 2, 2, 2, 2, 1],
        &[0, 2],
        &[2, 2],
    ]
    .concat();
    assert_eq!(written(ME, &talk), bytes);
    assert_eq!(read(ME, &bytes), Some(talk.to_vec()));
}

/// What docs/decisions.md says of bytes: a pointer of format 1 had a key of 18 bytes and a value of 24.
#[test]
fn sizes_that_are_written_down() {
    let bytes = |entries: &[Entry]| written(ME, entries).len();
    assert_eq!(bytes(&[entry(direct(9), 100)]), 11, "one message of a direct channel");
    assert_eq!(bytes(&[entry(direct(9), 20_000)]), 13);
    let storm: Vec<_> = (1000..1100).map(|seq| entry(ChannelId(7), seq)).collect();
    assert_eq!(bytes(&storm), 13, "a hundred messages of one group");
    let two: Vec<_> =
        (0..50).flat_map(|step| [entry(direct(9), 500 + step), entry(ChannelId(7), 70 + step)]).collect();
    assert_eq!(bytes(&two), 1 + 11 + 10 + 98 * 2, "two channels by turns");
}

#[test]
fn what_is_no_run_is_refused() {
    assert_eq!(read(ME, &[]), None);
    assert_eq!(read(ME, &[1]), None, "empty");
    let whole = written(ME, &[entry(ChannelId(7), 1), entry(ChannelId(7), 2)]);
    for len in 0..whole.len() {
        assert_eq!(read(ME, &whole[..len]), None, "cut to {len}");
    }
    assert_eq!(read(ME, &[&[2], &whole[1..]].concat()), None, "another version");
    let huge = [&whole[..whole.len() - 1], &[0xff, 0xff, 0xff, 0xff, 0x7f]].concat();
    assert_eq!(read(ME, &huge), None, "more entries than a row may have");
    let again = [&whole[..], &whole[1..]].concat();
    assert_eq!(read(ME, &again), None, "a known channel named as new");
    let split = [&whole[..], &[0, 2]].concat();
    assert_eq!(read(ME, &split), None, "a stretch that continues the one before");
    let longer = [&[1, 4, 7][..], &[0; 15], &[1]].concat();
    assert_eq!(read(ME, &longer), None, "a group in the long form");
    let beyond = [&[1, 6, 7][..], &[0; 15], &[1]].concat();
    assert_eq!(read(ME, &beyond), None, "no such form");
}

#[test]
fn the_longest_row() {
    let entries: Vec<_> =
        (0..RUN_ENTRIES_MAX as u64).map(|n| entry(ChannelId(u128::from(n % 7)), n)).collect();
    assert_eq!(read(ME, &written(ME, &entries)).as_deref(), Some(&entries[..]));
    let mut one_more = written(ME, &entries);
    one_more.extend([0, 0]);
    assert_eq!(read(ME, &one_more), None);
}

fn channel() -> impl Strategy<Value = ChannelId> {
    prop_oneof![
        (1..5u64).prop_map(|number| ChannelId(number.into())),
        (1..5u64).prop_map(direct),
        Just(ChannelId::direct(ME, ME)),
        (1..3u64, 1..3u64).prop_map(|(a, b)| ChannelId(u128::from(a) << 64 | u128::from(b))),
        any::<u64>().prop_map(|high| ChannelId(u128::from(high) << 64 | u128::from(ME.0))),
        any::<u128>().prop_map(ChannelId),
    ]
}

fn seq() -> impl Strategy<Value = u64> {
    prop_oneof![1..20u64, any::<u64>(), u64::MAX - 3..=u64::MAX]
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let stretch = (channel(), seq(), 1..6u64).prop_map(|(channel, seq, count)| {
        (0..count).map_while(move |step| Some(entry(channel, seq.checked_add(step)?))).collect::<Vec<_>>()
    });
    prop::collection::vec(stretch, 1..20).prop_map(|stretches| stretches.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_run_comes_back(entries in entries()) {
        prop_assert_eq!(read(ME, &written(ME, &entries)), Some(entries));
    }

    #[test]
    fn any_bytes_are_refused_or_are_the_encoding(
        entries in entries(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
        is_random in any::<bool>(),
    ) {
        let mut value = if is_random { [&[1], &bytes[..]].concat() } else { written(ME, &entries) };
        for (place, byte) in flips {
            let place = place.index(value.len());
            value[place] = byte;
        }
        if let Some(entries) = read(ME, &value) {
            prop_assert_eq!(written(ME, &entries), value);
        }
    }
}
