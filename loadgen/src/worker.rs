//! A worker process: one engine, told by stdin, telling by stdout.
//!
//! Lines are read and written by threads of their own, so that the engine never waits for a pipe.

use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, channel};

use crate::engine::Engine;
use crate::probe;
use crate::wire::{Line, Spec, Word};

/// Runs until the run is over or the coordinator is gone.
pub(crate) fn run() -> Result<(), String> {
    let mut first = String::new();
    std::io::stdin().lock().read_line(&mut first).map_err(|error| format!("stdin: {error}"))?;
    let spec: Spec =
        serde_json::from_str(&first).map_err(|error| format!("not a worker's orders: {error}"))?;
    drop(first);
    if let Some(cpu) = spec.cpu {
        probe::pin(cpu)?;
    }
    probe::raise_descriptors();
    let (lines, told) = channel();
    let writer = std::thread::spawn(move || write_lines(&told));
    let outcome = Engine::new(spec, lines.clone()).and_then(|(engine, waker)| {
        let (tells, words) = channel();
        std::thread::spawn(move || {
            let lines = std::io::stdin().lock().lines().map_while(Result::ok);
            for word in lines.filter_map(|line| serde_json::from_str::<Word>(&line).ok()) {
                let _ = tells.send(word);
                let _ = waker.wake();
            }
            // An end here is the coordinator's.
            std::process::exit(1);
        });
        engine.run(words)
    });
    let last = match outcome {
        Ok(outcome) => Line::Done(Box::new(outcome)),
        Err(words) => Line::Fatal(words),
    };
    let _ = lines.send(last);
    drop(lines);
    let _ = writer.join();
    Ok(())
}

fn write_lines(told: &Receiver<Line>) {
    let mut out = std::io::stdout().lock();
    for line in told {
        let Ok(mut text) = serde_json::to_string(&line) else { continue };
        text.push('\n');
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}
