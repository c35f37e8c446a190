//! What a seed decides before the first step: the size of the world, its limits and how much goes wrong. Small bounds
//! are drawn often, because what is rare in a large system is daily life in a small one.

use shard::Limits;

use crate::rng::Rng;

/// Messages, channels or members that a device asks for at once.
pub const LOOK_BACK_MAX: u64 = 10;

/// The drawn parameters of one simulation. Times are virtual milliseconds; chances are per step and in a million unless
/// they say otherwise.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Most shards of a process: each boot draws from 1 to this, so bays are at home on other shards after it.
    pub shards: u16,
    /// People with accounts.
    pub users: u64,
    /// Devices of each at the start.
    pub devices_per_user: u64,
    /// Most that a step moves the clock.
    pub step_max_ms: u64,
    /// Hops that fit in a ring; at most 8 are taken from each in a turn of a slow shard.
    pub ring_hops: usize,
    /// Bytes that fit in one direction of a connection.
    pub pipe_bytes: usize,
    /// Largest latency of one direction.
    pub latency_max_ms: u64,
    /// Longest pause between two commits of a store.
    pub commit_max_ms: u64,
    /// Longest time until a read is answered.
    pub read_max_ms: u64,
    /// Reads answered at once, in a thousand.
    pub inline_reads: u64,
    /// Failed reads, in a thousand.
    pub failed_reads: u64,
    /// Inputs that a shard takes in one turn.
    pub turn_inputs: usize,
    /// Turns that a ready shard skips, in a thousand.
    pub skipped_turns: u64,
    /// Longest text of a message in characters.
    pub text_chars: u64,
    /// Devices that act in a step, in a thousand.
    pub activity: u64,
    /// Whether this seed stops the stores and fills the shards' queues.
    pub flood: bool,
    /// Whether people here are told by push.
    pub push: bool,
    /// Whether an operator purges channels here.
    pub purges: bool,
    /// Whether an operator erases somebody here.
    pub erases: bool,
    /// Chances of faults.
    pub faults: Faults,
    /// What the core is told.
    pub limits: Limits,
}

/// How often what goes wrong, per step.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// One connection is cut.
    pub cut: u64,
    /// The process dies.
    pub crash: u64,
    /// A commit fails, and the process ends.
    pub failed_commit: u64,
    /// The process is asked to stop.
    pub drain: u64,
    /// A device stops reading for a while.
    pub stop_reading: u64,
    /// A store does nothing for a while.
    pub stop_store: u64,
    /// A shard does nothing for a while.
    pub stop_shard: u64,
    /// The wall clock jumps.
    pub clock_jump: u64,
    /// The disk is nearly full for a while.
    pub space_low: u64,
    /// An app dies and forgets what it had not saved.
    pub app_crash: u64,
    /// A device dials again while its old connection is open.
    pub dial_again: u64,
    /// Nothing happens for longer than a heartbeat.
    pub long_pause: u64,
    /// One user's rows, one log or one channel's history cannot be read for a while.
    pub unreadable: u64,
    /// A hop whose loss has a recovery of its own is lost; in a thousand of them.
    pub lost_hop: u64,
    /// A hop that may come a second time does, when the ring has taken another; in a thousand of them.
    pub repeated_hop: u64,
    /// The process ends and a backup takes the place of its stores. Backups are made four times as often.
    pub restore: u64,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        cut: 0,
        crash: 0,
        failed_commit: 0,
        drain: 0,
        stop_reading: 0,
        stop_store: 0,
        stop_shard: 0,
        clock_jump: 0,
        space_low: 0,
        app_crash: 0,
        dial_again: 0,
        long_pause: 0,
        unreadable: 0,
        lost_hop: 0,
        repeated_hop: 0,
        restore: 0,
    };

    fn draw(rng: &mut Rng) -> Self {
        let mut some = |most: u64| if rng.chance(650) { rng.below(most + 1) } else { 0 };
        let mut faults = Self {
            cut: some(40_000),
            crash: some(6_000),
            failed_commit: some(2_000),
            drain: some(6_000),
            stop_reading: some(10_000),
            stop_store: some(5_000),
            stop_shard: some(5_000),
            clock_jump: some(5_000),
            space_low: some(1_500),
            app_crash: some(10_000),
            dial_again: some(10_000),
            long_pause: some(2_000),
            unreadable: some(5_000),
            lost_hop: some(30),
            restore: some(3_000),
            repeated_hop: 0,
        };
        // In a third of the worlds; not drawn, so that old seeds stay the same worlds.
        if faults.cut % 3 == 1 {
            faults.repeated_hop = 10 + faults.cut % 100;
        }
        faults
    }
}

impl Plan {
    /// The plan of a seed.
    pub fn draw(rng: &mut Rng) -> Self {
        let shards = [1, 1, 2, 2, 3, 4, 5, 8][rng.place(8)];
        let flood = rng.chance(2);
        let texts = if rng.chance(50) { 4 } else { 3 };
        let text_chars = [1, 20, 200, 20_000][rng.place(texts)];
        let mut faults = Faults::draw(rng);
        if flood {
            faults.stop_store = 100_000;
        }
        Self {
            shards,
            users: if flood { 3 } else { rng.between(2, 8) },
            devices_per_user: if flood || rng.chance(30) { 16 } else { rng.between(1, 3) },
            step_max_ms: [1, 3, 10, 40][rng.place(4)],
            ring_hops: [1, 1, 2, 4, 16, 256][rng.place(6)],
            pipe_bytes: [64, 512, 4096, 1 << 20][rng.place(4)],
            latency_max_ms: [0, 5, 50, 500][rng.place(4)],
            commit_max_ms: [0, 2, 10, 100][rng.place(4)],
            read_max_ms: [0, 2, 20, 200][rng.place(4)],
            inline_reads: rng.below(1001),
            failed_reads: if rng.chance(200) { rng.below(100) } else { 0 },
            turn_inputs: [1, 4, 16, 1000][rng.place(4)],
            skipped_turns: [0, 0, 200, 800][rng.place(4)],
            text_chars,
            activity: rng.between(50, 600),
            flood,
            // In more than half of the worlds; not drawn, so that the others stay the same worlds.
            push: faults.cut.is_multiple_of(2),
            // In a quarter of the worlds; not drawn either.
            purges: faults.drain % 4 == 1,
            erases: faults.drain % 4 == 2,
            faults,
            limits: limits(rng, text_chars),
        }
    }
}

fn limits(rng: &mut Rng, text_chars: u64) -> Limits {
    let mut limits = Limits {
        group_members: rng.between(2, 8) as usize,
        heartbeat_ms: rng.between(1000, 5000) as u32,
        stalled_ms: rng.between(2000, 20_000),
        ..Limits::default()
    };
    limits.presence_grace_ms = [0, 300, 2000, 5000][limits.heartbeat_ms as usize / 3 % 4];
    limits.presence_bytes_per_s = [256, 1024][limits.heartbeat_ms as usize / 5 % 2];
    limits.trailing_ms = u64::from(limits.heartbeat_ms % 20);
    limits.gather_ms = [0, 20, 200, 1000][limits.heartbeat_ms as usize / 7 % 4];
    limits.push_ack_ms = [300, 1000, 4000, 10_000][limits.heartbeat_ms as usize / 11 % 4];
    // People come and go all the time here, so that the bound is met.
    limits.member_stays = [2, 3, 5, 256][limits.heartbeat_ms as usize / 20 % 4];
    // In half of the worlds groups have a bound, in the others they grow over it; not drawn, so that old seeds stay the same worlds.
    limits.large_members = if limits.heartbeat_ms.is_multiple_of(2) { 0 } else { 12 };
    // In a third of the worlds room for a few windows, or for none; not drawn, so that old seeds stay the same worlds.
    if limits.heartbeat_ms.is_multiple_of(3) {
        limits.dedup_bytes = limits.heartbeat_ms as usize % 7 * 500;
    }
    if rng.chance(500) {
        // Far below what an operator may set, and still more than the largest answer that anybody here asks for.
        let answer = (LOOK_BACK_MAX + 2) * (text_chars + 150);
        limits.egress_bytes = (answer * rng.between(1, 3)) as usize;
    }
    if rng.chance(500) {
        limits.idle_users = rng.place(4);
        limits.idle_channels = rng.place(4);
    }
    if rng.chance(400) {
        limits.unstored_messages = rng.between(2, 16) as usize;
        limits.unstored_bytes = (rng.between(2, 8) * (4 * text_chars + 300)) as usize;
        limits.unstored_rows = rng.between(2, 64) as usize;
    }
    if rng.chance(150) {
        limits.frames_per_s = rng.between(2, 50) as u32;
        limits.frames_burst = rng.between(2, 50) as u32;
        if rng.chance(500) {
            limits.user_frames_per_s = Some(rng.between(2, 100) as u32);
            limits.user_frames_burst = Some(rng.between(2, 100) as u32);
        }
    }
    if rng.chance(150) {
        // Far below what one frame may have: whatever waits, new work has to wait until it is gone.
        limits.waiting_bytes = rng.between(1_000, 100_000) as usize;
    }
    limits
}
