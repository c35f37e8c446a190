//! What is beneath the sockets: every test draws epoll or io_uring for its nodes by its name, so that half of them try each
//! and a test is the same each time. `E2E_IO=epoll` or `=uring` chooses.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;

use libc::{SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS};
use server::driver::{self, Io};

use crate::node::{Node, maru};
use crate::people::PASSWORD;
use crate::raw::{Raw, token};

/// Why io_uring cannot be tested here, if it cannot.
fn refusal() -> Option<&'static str> {
    static REFUSAL: OnceLock<Option<String>> = OnceLock::new();
    REFUSAL.get_or_init(|| driver::choose(Io::Uring).err().map(|why| why.to_string())).as_deref()
}

/// What is beneath the nodes of this test, as the setting has it.
pub fn drawn() -> &'static str {
    let test = std::thread::current().name().unwrap_or("main").to_owned();
    // FNV-1a: the same for ever.
    let hash = test.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let wanted = match std::env::var("E2E_IO").as_deref() {
        Ok("epoll") => false,
        Ok("uring") => true,
        Ok(other) => panic!("E2E_IO is {other:?}, not epoll or uring"),
        Err(_) => (hash >> 32).is_multiple_of(2),
    };
    match refusal() {
        Some(why) if wanted => {
            eprintln!("nodes go by epoll: {why}");
            "epoll"
        }
        _ => {
            let io = if wanted { "uring" } else { "epoll" };
            eprintln!("nodes go by {io} (E2E_IO)");
            io
        }
    }
}

/// Makes the system calls of io_uring end like that in the process that will be started.
#[allow(unsafe_code)]
pub fn refuse(command: &mut Command, refusal: u32) {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
    let code = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let is = |call: libc::c_long, ahead: u8| code(BPF_JMP | BPF_JEQ | BPF_K, ahead, 0, call as u32);
    let program = [
        // The number of the system call.
        code(BPF_LD | BPF_W | BPF_ABS, 0, 0, 0),
        is(libc::SYS_io_uring_setup, 3),
        is(libc::SYS_io_uring_enter, 2),
        is(libc::SYS_io_uring_register, 1),
        code(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        code(BPF_RET | BPF_K, 0, 0, refusal),
    ];
    let install = move || {
        let mut program = program;
        let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        // SAFETY: two system calls that allocate nothing; the kernel copies the program before the second returns.
        let outcome = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
                | libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter)
        };
        if outcome == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: it runs between fork and exec, and does nothing but what is said above.
    unsafe { command.pre_exec(install) };
}

async fn serves(node: &Node) {
    let user = node.account().signup("ann", PASSWORD).await.unwrap();
    Raw::live(node, &token(node, user, 1)).is_served(2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_go_by_io_uring_where_it_is_wanted() {
    if let Some(why) = refusal() {
        eprintln!("not tested: {why}");
        return;
    }
    for wanted in ["uring", "auto"] {
        let mut node = Node::start(2, &["--io", wanted]);
        serves(&node).await;
        node.logs(&["sockets go by io_uring"]);
        assert_eq!(node.metric("maru_ring", ""), 2);
        assert!(node.metric("maru_ring_completions_total", "") > 0);
        assert_eq!(node.stop(), Some(0));
        node.check();
    }
    let node = Node::start(2, &["--io", "epoll"]);
    serves(&node).await;
    assert_eq!(node.metric("maru_ring", "") + node.metric("maru_ring_enters_total", ""), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_forbidden_sockets_go_by_epoll_and_one_line_says_why() {
    let errno = |errno: i32| SECCOMP_RET_ERRNO | errno as u32;
    for (refusal, words) in [
        (errno(libc::EPERM), "EPERM"),
        (errno(libc::ENOSYS), "ENOSYS"),
        (errno(libc::ENOMEM), "LimitMEMLOCK"),
        (SECCOMP_RET_KILL_PROCESS, "killed"),
    ] {
        let mut node = Node::start_filtered(refusal, 2, &["--io", "auto"]);
        serves(&node).await;
        node.logs(&["sockets go by epoll", words]);
        assert_eq!(node.metric("maru_ring", ""), 0, "{words}");
        assert_eq!(node.stop(), Some(0));
        // Wanted and nothing else, there is no start.
        let mut command = Command::new(maru());
        refuse(&mut command, refusal);
        let folder = tempfile::tempdir().unwrap();
        let zero = "127.0.0.1:0";
        let output = command
            .args(["serve", "--io", "uring", "--shards", "1", "--http", zero, "--listen", zero, "--data"])
            .arg(folder.path().join("data"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("io = \"uring\"") && said.contains(words), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_locked_memory_a_node_starts_all_the_same() {
    let node = Node::start_by(&["prlimit", "--memlock=0"], &[], 1, &["--io", "auto"]);
    serves(&node).await;
}
