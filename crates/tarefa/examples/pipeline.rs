//! A pipeline over large slices: each stage is a process, and no frame is copied on its way.
//!
//! ```text
//!     make ──frames──> smooth ──frames──> measure ──numbers──> main
//! ```
//!
//! A `SharedSlice` lies in shared memory; what is sent on is where it lies, and its memory is free with the
//! last who has it. The channels hold two frames at most, so a slow stage slows down those before it.

use tarefa::{Failure, Process, Receiver, Sender, SharedSlice, channel};

const FRAMES: usize = 8;
const WIDTH: usize = 640;
const HEIGHT: usize = 480;

type Frame = SharedSlice<f32>;

/// The first stage: frames with a bright spot that moves.
fn make(frames: Sender<Frame>) -> Result<(), Failure> {
    for n in 0..FRAMES {
        let mut frame = Frame::zeroed(WIDTH * HEIGHT)?;
        if let Some(pixels) = frame.get_mut() {
            for row in 100..120 {
                let from = row * WIDTH + 10 * n;
                pixels[from..from + 20].fill(1.0);
            }
        }
        frames.send(frame)?;
    }
    Ok(())
}

/// The second: each pixel with those above and below it, where the frame lies.
fn smooth(frames: Receiver<Frame>, smoothed: Sender<Frame>) -> Result<(), Failure> {
    for frame in frames {
        let frame = frame?;
        let at = |i: usize| frame.get(i).copied().unwrap_or_default();
        let means = Frame::from_fn(frame.len(), |i| {
            (at(i.wrapping_sub(WIDTH)) + at(i) + at(i + WIDTH)) / 3.0
        })?;
        smoothed.send(means)?;
    }
    Ok(())
}

/// The third: where it is brightest, and how bright all of it is.
fn measure(frames: Receiver<Frame>, found: Sender<(usize, f32)>) -> Result<(), Failure> {
    for frame in frames {
        let frame = frame?;
        let brightest =
            (0..frame.len()).fold(0, |best, i| if frame[i] > frame[best] { i } else { best });
        found.send((brightest % WIDTH, frame.iter().sum()))?;
    }
    Ok(())
}

#[tarefa::main]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (frames, to_smooth) = channel(2)?;
    let (smoothed, to_measure) = channel(2)?;
    let (found, numbers) = channel(0)?;
    let stages = [
        Process::spawn(make, (frames,))?,
        Process::spawn(smooth, (to_smooth, smoothed))?,
        Process::spawn(measure, (to_measure, found))?,
    ];
    for (n, found) in numbers.iter().enumerate() {
        let (column, light) = found?;
        println!("frame {n}: brightest at column {column}, light {light:.0}");
    }
    for stage in stages {
        stage.result(None)??;
    }
    Ok(())
}
