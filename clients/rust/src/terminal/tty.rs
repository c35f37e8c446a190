//! The terminal itself: its modes, and that they are as they were after any end.

use std::io::{IsTerminal, Read, Write, stdin, stdout};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Longest line that is asked for at the terminal: a password or a word.
const ANSWER_BYTES_MAX: usize = 4096;

/// The modes before this process changed any.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
/// The whole screen is ours.
static IS_FULL: AtomicBool = AtomicBool::new(false);

/// Whether a person sits at both ends.
pub(super) fn is_there() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

/// Keeps the modes as they are, and brings them back if the process panics.
pub(super) fn remember() {
    if let Ok(mut before) = BEFORE.lock()
        && before.is_none()
    {
        *before = tcgetattr(stdin()).ok();
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            tell(panic);
        }));
    }
}

/// Brings back what [`remember`] kept. A terminal that is gone cannot be restored and needs nothing.
pub(super) fn restore() {
    if IS_FULL.swap(false, Ordering::SeqCst) {
        let _ = execute!(stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
    // A panic while the lock is held must not wait for itself.
    if let Ok(before) = BEFORE.try_lock()
        && let Some(before) = before.as_ref()
    {
        let _ = tcsetattr(stdin(), OptionalActions::Now, before);
    }
}

/// Whether the screen is taken: nothing else may write to it.
pub(super) fn is_full() -> bool {
    IS_FULL.load(Ordering::SeqCst)
}

/// Takes the whole screen.
pub(super) fn fill() -> std::io::Result<()> {
    IS_FULL.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

/// Shows what is typed, or not. Without a terminal there is nothing to show.
pub(super) fn set_echo(on: bool) {
    let input = stdin();
    let Ok(mut modes) = tcgetattr(&input) else { return };
    modes.local_modes.set(LocalModes::ECHO, on);
    // A terminal that refuses shows the password to the one who types it; nothing else is lost.
    let _ = tcsetattr(&input, OptionalActions::Now, &modes);
}

/// Columns of standard output, where it is a terminal.
pub(super) fn columns() -> Option<usize> {
    let size = tcgetwinsize(stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Asks on the terminal; `None` at the end of input. The line's bytes alone are taken: what was typed ahead stays for whoever
/// reads next.
pub(super) async fn ask(question: String, is_secret: bool) -> Option<String> {
    let answer = tokio::task::spawn_blocking(move || {
        let mut out = stdout();
        let _ = write!(out, "{question}");
        let _ = out.flush();
        if is_secret {
            set_echo(false);
        }
        let answer = read_answer(&mut bare_input());
        if is_secret {
            set_echo(true);
            let _ = writeln!(out);
        }
        answer
    });
    answer.await.ok().flatten()
}

/// Standard input without a buffer.
fn bare_input() -> impl Read {
    struct Bare;
    impl Read for Bare {
        fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
            Ok(rustix::io::read(stdin(), bytes)?)
        }
    }
    Bare
}

fn read_answer(input: &mut impl Read) -> Option<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match input.read(&mut byte) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return None,
            Ok(0) if line.is_empty() => return None,
            Ok(0) => break,
            Ok(_) if byte == [b'\n'] => break,
            Ok(_) if line.len() < ANSWER_BYTES_MAX => line.extend(byte),
            Ok(_) => {}
        }
    }
    Some(String::from_utf8_lossy(&line).into_owned())
}

/// What asks the client to end.
pub(super) struct Endings {
    signals: Vec<(i32, Signal)>,
}

impl Endings {
    pub(super) fn new() -> std::io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let signals = kinds.into_iter().map(|kind| Ok((kind.as_raw_value(), signal(kind)?)));
        Ok(Self { signals: signals.collect::<std::io::Result<_>>()? })
    }

    /// The number of the first signal that comes.
    pub(super) async fn next(&mut self) -> i32 {
        std::future::poll_fn(|context| {
            for (number, signal) in &mut self.signals {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*number);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use rustix::fs::{Mode, OFlags, open};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    /// What [`a_panic_restores_modes_and_screen`] starts at a terminal of its own.
    #[test]
    #[ignore = "panics; the test below starts it"]
    fn panics_at_the_full_screen() {
        remember();
        fill().unwrap();
        print!("filled");
        stdout().flush().unwrap();
        panic!("a fault of ours");
    }

    #[test]
    fn a_panic_restores_modes_and_screen() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let terminal = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let end = || Stdio::from(terminal.try_clone().unwrap());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "terminal::tty::tests::panics_at_the_full_screen"])
            .env("RUST_BACKTRACE", "0")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        // What is written is few enough for the terminal to hold it.
        assert!(!child.wait().unwrap().success());
        let modes = tcgetattr(&terminal).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON), "{modes:?}");
        drop(terminal);
        let mut written = Vec::new();
        // Without a terminal at its other end it reads what is left, and then an error.
        let _ = std::fs::File::from(master).read_to_end(&mut written);
        let written = String::from_utf8_lossy(&written).into_owned();
        let at = |part: &str| written.find(part).unwrap_or_else(|| panic!("no {part:?} in {written:?}"));
        let places = [at("\u{1b}[?1049h"), at("filled"), at("\u{1b}[?1049l"), at("a fault of ours")];
        assert!(places.is_sorted(), "the words stand on the screen that is there afterwards: {written:?}");
    }

    #[test]
    fn an_answer_is_one_line_and_leaves_the_rest() {
        let mut input: &[u8] = b"secret\nnext";
        assert_eq!(read_answer(&mut input).as_deref(), Some("secret"));
        assert_eq!(input, b"next");
        assert_eq!(read_answer(&mut input).as_deref(), Some("next"));
        assert_eq!(read_answer(&mut input), None);
        let long = [b'x'; ANSWER_BYTES_MAX + 5];
        assert_eq!(read_answer(&mut &long[..]).map(|line| line.len()), Some(ANSWER_BYTES_MAX));
    }
}
