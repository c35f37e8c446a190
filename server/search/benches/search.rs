//! What search costs: `cargo bench -p search --bench search -- [MESSAGES]` (200,000 unless it is said). Indexes so many made-up
//! messages, most of them Korean, and asks them in the name of one who is in few channels and of one who is in many.
//!
//! Prints microseconds a message, bytes a message, and milliseconds a search at the 50th, 99th and last per cent.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::time::{Duration, Instant};

use protocol::commit::Interval;
use protocol::{ChannelId, Seq, UserId};
use search::{Asked, Change, Document, Index, Order, Places, Readable, Sought};

const NOUNS: &[&str] = &[
    "학교",
    "회사",
    "점심",
    "저녁",
    "회의",
    "보고서",
    "사진",
    "영화",
    "커피",
    "주말",
    "여행",
    "날씨",
    "약속",
    "친구",
    "가족",
    "병원",
    "지하철",
    "버스",
    "택배",
    "비밀번호",
    "서버",
    "배포",
    "테스트",
    "일정",
    "자료",
    "계약서",
    "생일",
    "선물",
    "운동",
    "고양이",
    "강아지",
    "김치찌개",
    "비행기",
    "숙제",
    "시험",
    "휴가",
    "이사",
    "감기",
    "노래",
    "게임",
];
const PARTICLES: &[&str] =
    &["이", "가", "을", "를", "은", "는", "에", "에서", "도", "만", "하고", "부터", "까지", ""];
const VERBS: &[&str] = &[
    "가요",
    "갔어요",
    "먹자",
    "먹었어",
    "봤어?",
    "볼래",
    "왔어요",
    "보내 주세요",
    "확인했습니다",
    "바꿨어",
    "시작합니다",
    "끝났어요",
    "몰라",
    "좋아요 ㅋㅋ",
    "싫어 ㅠㅠ",
    "부탁드립니다",
    "알겠습니다",
    "기다릴게",
    "늦을 것 같아",
    "어때?",
];
const OTHERS: &[&str] = &[
    "see you at the meeting tomorrow",
    "the build is green again",
    "lgtm, thanks",
    "what time is it there",
    "我们明天去北京开会",
    "今天天气很好",
    "東京駅で会いましょう",
    "ありがとうございます",
    "release v2 is out 🎉",
];

/// The generator of Steele, Lea and Flood (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// Three syllables of all that there are: a rare word.
    fn name(&mut self) -> String {
        (0..3).map(|_| char::from_u32(0xac00 + self.below(11_172) as u32).unwrap()).collect()
    }

    fn sentence(&mut self) -> String {
        if self.below(8) == 0 {
            return self.of(OTHERS).to_owned();
        }
        let mut text = String::new();
        for _ in 0..=self.below(4) {
            let noun = if self.below(6) == 0 { self.name() } else { self.of(NOUNS).to_owned() };
            text.push_str(&noun);
            text.push_str(self.of(PARTICLES));
            text.push(' ');
        }
        text + self.of(VERBS)
    }

    fn query(&mut self) -> String {
        match self.below(10) {
            0 => self.of(&["ㅎㄱ", "ㅂㅁㅂㅎ", "ㄱㅊㅉㄱ", "ㅋㅋ", "ㅈㅎㅊ"]).to_owned(),
            1 => self.of(&["학", "밥", "天", "이"]).to_owned(),
            2 => self.of(&["meeting", "\"see you\"", "北京", "ありがとう", "🎉"]).to_owned(),
            3 => format!("{} -{}", self.of(NOUNS), self.of(NOUNS)),
            4 | 5 => self.name(),
            6 => self.of(NOUNS).to_owned(),
            _ => format!("{} {}", self.of(NOUNS), self.of(NOUNS)),
        }
    }
}

fn main() {
    // Cargo says `--bench` too.
    let messages = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(200_000u64);
    let channels = (messages / 100).max(10);
    let dir = tempfile::tempdir().unwrap();
    let (mut index, _) = Index::open(dir.path()).unwrap();
    let mut dice = Dice(1);
    let mut heads = vec![0; channels as usize];
    let began = Instant::now();
    let mut made = Duration::ZERO;
    for n in 0..messages {
        let making = Instant::now();
        let channel = dice.below(heads.len());
        heads[channel] += 1;
        let text = dice.sentence();
        made += making.elapsed();
        let (channel, seq) = (ChannelId(channel as u128 + 1), Seq(heads[channel]));
        let (sender, time_ms, kind) = (UserId(n % 1000), 1_760_000_000_000 + n * 50, 0x0101);
        index
            .apply(Change::Put(Document { channel, seq, sender, time_ms, kind, mentions: Vec::new(), text }))
            .unwrap();
        if n % 20_000 == 19_999 {
            index.commit(&Places::default()).unwrap();
        }
    }
    index.commit(&Places::default()).unwrap();
    let spent = began.elapsed() - made;
    index.settle().unwrap();
    let sizes = index.sizes();
    println!(
        "messages={messages} us_a_message={:.1} bytes_a_message={:.1} segments={}",
        spent.as_micros() as f64 / messages as f64,
        sizes.bytes as f64 / messages as f64,
        sizes.segments
    );
    for of in [50, 1000, channels as usize] {
        for order in [Order::Time, Order::Relevance] {
            ask(&index, &mut dice, of.min(channels as usize), order);
        }
    }
}

fn ask(index: &Index, dice: &mut Dice, channels: usize, order: Order) {
    let mut readable = Readable::default();
    for channel in 1..=channels {
        readable.add(ChannelId(channel as u128), vec![Interval { joined: Seq(1), left: None }]);
    }
    let finder = index.finder();
    let (mut spent, mut hits, mut cut) = (Vec::new(), 0, 0);
    for _ in 0..1000 {
        let asked = Asked { order, limit: 20, ..Asked::of(Sought::parse(&dice.query()).unwrap()) };
        let began = Instant::now();
        let found = finder.find(&asked, &readable, began + Duration::from_secs(10)).unwrap();
        spent.push(began.elapsed());
        hits += found.hits.len();
        cut += usize::from(found.is_cut);
    }
    spent.sort_unstable();
    let ms = |at: usize| spent[at.min(spent.len() - 1)].as_secs_f64() * 1000.0;
    println!(
        "channels={channels} order={order:?} p50_ms={:.2} p99_ms={:.2} max_ms={:.2} hits={hits} cut={cut}",
        ms(500),
        ms(990),
        ms(999)
    );
}
