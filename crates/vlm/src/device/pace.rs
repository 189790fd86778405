//! Which device is done first: the work there is, and how fast each of two devices does it.

use serde::{Deserialize, Serialize};
use steady_kernels::{Added, Device, DeviceError, Element, Matrix, Weight};
use web_time::Instant;

use crate::{Extent, Footprint, LinearSize};

/// What somebody wants to have computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Arithmetic operations.
    pub flops: f64,
    /// Operations that a GPU launches.
    pub launches: f64,
    /// Times that the host waits for a number.
    pub reads: f64,
}

/// What is asked, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Images, as often as they are altered.
    pub images: usize,
    /// Questions about all of them together.
    pub questions: usize,
    /// Forms of the model that answer.
    pub forms: usize,
    /// Tokens of a question.
    pub text: usize,
}

/// How fast a device is, by a short trial.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Arithmetic operations a second, in a product of matrices.
    pub flops: f64,
    /// Seconds of an operation that does next to nothing.
    pub launch: f64,
    /// Seconds until the host has a number.
    pub read: f64,
    /// Seconds until all that a model can need is compiled.
    pub ready: f64,
}

/// The device that is done first, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Faster {
    /// Whether it is the GPU.
    pub gpu: bool,
    /// Seconds that both take, in words.
    pub reason: String,
}

/// Work that a CPU does in this time is done before a GPU is open and knows its kernels.
const LITTLE: f64 = 1.0;
/// What the names of the decoder's layers begin with.
const DECODER: &str = "language_model.";
/// Kernels of a model, of which the trial compiles [`TRIED`].
const KERNELS: f64 = 21.0;
const TRIED: f64 = 2.0;
/// Passes through the decoder for an answer: its question, and two tokens, since most answers are a word and an end token.
const PASSES: f64 = 3.0;
/// Launches for a linear layer and what lies around it.
const LAUNCHES: f64 = 2.0;
/// Operations in a row of the trial.
const ROW: usize = 64;

impl Work {
    /// What is `asked` about images as large as `image` of a model with this footprint: as much is shared as in a study, and an image passes the
    /// vision tower once.
    pub fn new(footprint: &Footprint, image: Extent, asked: Asked) -> Self {
        let Asked { images, questions, forms, text } = asked;
        let (decoder, vision): (Vec<_>, Vec<_>) = footprint.linears().iter().partition(|linear| linear.name.starts_with(DECODER));
        let weights = |linears: &[&LinearSize]| linears.iter().map(|linear| linear.out as f64 * linear.input as f64).sum::<f64>();
        let [images, prefixes, answers] = [images, images * forms, questions * forms].map(|count| count as f64);
        let tokens = image.tokens as f64;
        let of_decoder = weights(&decoder) * (prefixes * tokens + answers * (text as f64 + PASSES - 1.0));
        let passes = prefixes + answers * PASSES;
        Self {
            flops: 2.0 * (weights(&vision) * images * tokens + of_decoder),
            launches: LAUNCHES * (vision.len() as f64 * images + decoder.len() as f64 * passes),
            reads: answers * PASSES,
        }
    }
}

impl Pace {
    /// Tries `device` out: a few products of matrices, some small operations, and how long numbers take to the host. It takes some
    /// milliseconds, and on a GPU as long as two kernels take to compile.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn measure(device: &Device) -> Result<Self, DeviceError> {
        // A GPU needs much to do at once; a browser's CPU is slow.
        let side = match device {
            Device::Cpu if cfg!(target_family = "wasm") => 128,
            Device::Cpu => 256,
            #[cfg(feature = "gpu")]
            Device::Gpu(_) => 1024,
        };
        let number = |at: usize| (at % 7) as f32 / 7.0 - 0.4;
        let square: Vec<f32> = (0..side * side).map(|at| number(at) / side as f32).collect();
        let weight = Weight::dense(&square, [side, side], device, Element::F32);
        let x = Matrix::new((0..side * side).map(number).collect(), [side, side], device, Element::F32);
        let small = Matrix::new(vec![1.0; 64], [1, 64], device, Element::F32);
        let product = || weight.product(&x, Added::default()).slice(0..1);
        let one = seconds(async { product().add(&product()).read().await }).await?;
        let read = best(async || small.read().await).await?;
        let launches = best(async || (0..ROW).fold(small.clone(), |sum, _| sum.add(&small)).read().await).await?;
        let products = 4u8;
        let products_took = best(async || (0..products).fold(product(), |_, _| product()).read().await).await?;
        let flops = f64::from(products + 1) * 2.0 * (side * side * side) as f64 / (products_took - read).max(1e-6);
        let at_once = if *device == Device::Cpu { f64::INFINITY } else { compilers() };
        Ok(Self { flops, launch: ((launches - read) / ROW as f64).max(0.0), read, ready: one * KERNELS / TRIED / at_once })
    }

    /// Seconds that `work` takes, about.
    pub fn seconds(&self, work: &Work) -> f64 {
        self.ready + work.flops / self.flops + work.launches * self.launch + work.reads * self.read
    }

    /// Whether a CPU of this pace is done before a GPU is ready; then there is no use in trying one.
    pub fn makes_short_work_of(&self, work: &Work) -> bool {
        self.seconds(work) <= LITTLE
    }
}

impl Faster {
    /// The CPU, without a look at a GPU.
    pub fn cpu_at_once(cpu: &Pace, work: &Work) -> Self {
        let reason = format!("the CPU is done in {}, before a GPU would be ready", Seconds(cpu.seconds(work)));
        Self { gpu: false, reason }
    }

    /// Of a CPU and a GPU whose paces are known. The CPU where both take as long.
    pub fn of(cpu: &Pace, gpu: &Pace, work: &Work) -> Self {
        let [on_cpu, on_gpu] = [cpu, gpu].map(|pace| pace.seconds(work));
        let gpu = on_gpu < on_cpu;
        let [(this, first), (other, second)] = if gpu { [("GPU", on_gpu), ("CPU", on_cpu)] } else { [("CPU", on_cpu), ("GPU", on_gpu)] };
        Self { gpu, reason: format!("by a short trial the {this} is done in {}, the {other} in {}", Seconds(first), Seconds(second)) }
    }
}

/// Kernels that are compiled side by side.
fn compilers() -> f64 {
    if cfg!(target_family = "wasm") { 1.0 } else { std::thread::available_parallelism().map_or(1.0, |threads| threads.get() as f64) }
}

async fn seconds<T>(computed: impl Future<Output = Result<T, DeviceError>>) -> Result<f64, DeviceError> {
    let start = Instant::now();
    computed.await?;
    Ok(start.elapsed().as_secs_f64())
}

/// The least of three times: what disturbs only makes it longer.
async fn best<T>(compute: impl AsyncFn() -> Result<T, DeviceError>) -> Result<f64, DeviceError> {
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        least = least.min(seconds(compute()).await?);
    }
    Ok(least)
}

/// About how many.
struct Seconds(f64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0.0..0.1 => f.write_str("less than 0.1 s"),
            seconds if seconds < 10.0 => write!(f, "about {seconds:.1} s"),
            seconds if seconds < 120.0 => write!(f, "about {seconds:.0} s"),
            seconds => write!(f, "about {:.0} minutes", seconds / 60.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use pollster::FutureExt;

    use super::*;

    /// Five gigaflops, as a browser has them; no launches to speak of.
    const CPU: Pace = Pace { flops: 5e9, launch: 0.0, read: 0.0, ready: 0.0 };
    /// A fast one behind a slow driver.
    const GPU: Pace = Pace { flops: 5e12, launch: 10e-6, read: 1e-3, ready: 5.0 };

    /// By hand for a prompt of 200 tokens: 0.16 s an answer on the CPU with two million parameters; on the GPU 5 s, and 0.006 s an answer.
    fn work(parameters: f64, answers: f64) -> Work {
        Work { flops: answers * 2.0 * parameters * 200.0, launches: answers * 300.0, reads: answers * 3.0 }
    }

    #[test]
    fn a_small_model_stays_where_it_is_and_a_large_one_does_not() {
        let small = work(2e6, 20.0);
        assert!((CPU.seconds(&small) - 3.2).abs() < 1e-9, "{}", CPU.seconds(&small));
        assert!((GPU.seconds(&small) - (5.0 + 20.0 * (0.00016 + 0.003 + 0.003))).abs() < 1e-9, "{}", GPU.seconds(&small));
        let faster = Faster::of(&CPU, &GPU, &small);
        assert_eq!((faster.gpu, &*faster.reason), (false, "by a short trial the CPU is done in about 3.2 s, the GPU in about 5.1 s"));
        // As many answers again and again, and it pays to have waited.
        assert!(Faster::of(&CPU, &GPU, &work(2e6, 100.0)).gpu);
        let faster = Faster::of(&CPU, &GPU, &work(2e9, 1.0));
        assert_eq!((faster.gpu, &*faster.reason), (true, "by a short trial the GPU is done in about 5.2 s, the CPU in about 3 minutes"));
    }

    #[test]
    fn little_work_needs_no_second_device() {
        assert!(CPU.makes_short_work_of(&work(2e6, 5.0)));
        assert!(!CPU.makes_short_work_of(&work(2e6, 10.0)));
        let said = Faster::cpu_at_once(&CPU, &work(2e6, 5.0));
        assert_eq!((said.gpu, &*said.reason), (false, "the CPU is done in about 0.8 s, before a GPU would be ready"));
    }

    #[test]
    fn a_device_that_takes_as_long_is_not_worth_changing_to() {
        assert!(!Faster::of(&CPU, &CPU, &work(2e9, 3.0)).gpu);
    }

    #[test]
    fn a_trial_gives_numbers_that_can_be_compared() {
        let pace = Pace::measure(&Device::Cpu).block_on().unwrap();
        assert!(pace.flops > 1e6 && pace.flops < 1e15 && pace.ready >= 0.0 && pace.read >= 0.0 && pace.launch >= 0.0, "{pace:?}");
        assert!(pace.seconds(&work(2e6, 1.0)).is_finite());
    }
}
