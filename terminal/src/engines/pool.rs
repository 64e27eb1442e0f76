//! Engines that are loaded when they are needed and let go of when they are not: after a while
//! without work, or when another one needs the memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use lucid_kernel::abi::{Decoded, EngineInfo, Token};
use lucid_kernel::port::{CancelFlag, ChatTemplate, DecodeRequest, Delta, Embedder, Engine, EngineError};
use lucid_model::load::free_memory;

/// How often the pool looks for engines that nobody uses.
const LOOK: Duration = Duration::from_millis(500);

/// Loads a model.
pub type Load<T> = Box<dyn Fn() -> Result<Arc<T>, EngineError> + Send + Sync>;

/// The models of a process, and how much of the memory they may take together.
#[derive(Debug)]
pub struct Pool {
    /// The most memory of all loaded models, in bytes.
    limit_bytes: u64,
    models: Mutex<Vec<Weak<dyn Pooled>>>,
    /// Only one model is loaded at a time.
    loading: Mutex<()>,
}

/// A model as the pool sees it, whatever it does.
trait Pooled: std::fmt::Debug + Send + Sync {
    fn terms(&self) -> &Terms;

    fn is_loaded(&self) -> bool;

    fn idle_for(&self) -> Duration;

    /// Lets go of the model, unless it is at work. What it has computed is kept where it can be.
    fn unload(&self) -> bool;
}

/// What the pool knows of a model.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Its name, for people.
    pub name: String,
    /// The memory that it needs, in bytes; 0 when it runs elsewhere.
    pub bytes: u64,
    /// It is let go of after so long without work; never when none.
    pub unload_after: Option<Duration>,
}

/// A model that is loaded when it is needed.
struct Held<T: ?Sized> {
    pool: Arc<Pool>,
    terms: Terms,
    load: Load<T>,
    /// What is done with it before it is let go of.
    before_unload: fn(&T),
    state: Mutex<State<T>>,
}

struct State<T: ?Sized> {
    model: Option<Arc<T>>,
    used: Instant,
}

impl<T: ?Sized> std::fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("terms", &self.terms).finish_non_exhaustive()
    }
}

/// An engine that is loaded on demand. Its name, window and template stay known while it is not.
#[derive(Debug)]
struct OnDemand {
    held: Arc<Held<dyn Engine>>,
    info: EngineInfo,
    template: ChatTemplate,
}

/// A model that makes vectors, loaded when the first is wanted.
#[derive(Debug)]
struct Vectors {
    held: Arc<Held<dyn Embedder>>,
    dimensions: usize,
}

impl Pool {
    /// A pool of engines that together take at most so much memory, in bytes.
    pub fn new(limit_bytes: u64) -> Arc<Self> {
        let pool = Arc::new(Self { limit_bytes, models: Mutex::default(), loading: Mutex::default() });
        let looked_after = Arc::downgrade(&pool);
        std::thread::spawn(move || {
            while let Some(pool) = looked_after.upgrade() {
                pool.unload_idle();
                drop(pool);
                std::thread::sleep(LOOK);
            }
        });
        pool
    }

    /// Takes an engine in and loads it, letting go of others if there is no room.
    ///
    /// # Errors
    /// Those of loading it, and [`EngineError::Load`] when the limit leaves no room for it beside
    /// models at work.
    pub fn open(
        self: &Arc<Self>,
        terms: Terms,
        load: Load<dyn Engine>,
    ) -> Result<Arc<dyn Engine>, EngineError> {
        let _one = lock(&self.loading);
        self.make_room(&terms)?;
        let engine = load()?;
        let (info, template) = (engine.info(), engine.chat_template());
        let held = self.hold(terms, load, Some(engine), |engine| engine.keep());
        Ok(Arc::new(OnDemand { held, info, template }))
    }

    /// Takes in a model that makes vectors of so many numbers. It is loaded when the first is
    /// wanted.
    pub fn open_embedder(
        self: &Arc<Self>,
        terms: Terms,
        dimensions: usize,
        load: Load<dyn Embedder>,
    ) -> Arc<dyn Embedder> {
        Arc::new(Vectors { held: self.hold(terms, load, None, |_| ()), dimensions })
    }

    fn hold<T: ?Sized + Send + Sync + 'static>(
        self: &Arc<Self>,
        terms: Terms,
        load: Load<T>,
        model: Option<Arc<T>>,
        before_unload: fn(&T),
    ) -> Arc<Held<T>> {
        let state = Mutex::new(State { model, used: Instant::now() });
        let held = Arc::new(Held { pool: Arc::clone(self), terms, load, before_unload, state });
        let pooled: Arc<dyn Pooled> = Arc::<Held<T>>::clone(&held);
        let mut models = lock(&self.models);
        models.retain(|model| model.strong_count() > 0);
        models.push(Arc::downgrade(&pooled));
        held
    }

    /// The names of the models that are loaded now.
    #[cfg(test)]
    fn loaded(&self) -> Vec<String> {
        self.all()
            .iter()
            .filter(|engine| engine.is_loaded())
            .map(|engine| engine.terms().name.clone())
            .collect()
    }

    fn all(&self) -> Vec<Arc<dyn Pooled>> {
        lock(&self.models).iter().filter_map(Weak::upgrade).collect()
    }

    fn unload_idle(&self) {
        for engine in self.all() {
            if engine.terms().unload_after.is_some_and(|after| engine.idle_for() >= after) {
                engine.unload();
            }
        }
    }

    /// Lets go of engines without work, the one that was used longest ago first, until the memory
    /// suffices for one more.
    fn make_room(&self, wanted: &Terms) -> Result<(), EngineError> {
        let mut others = self.all();
        others.retain(|engine| engine.is_loaded() && engine.terms().bytes > 0);
        others.sort_by_key(|engine| std::cmp::Reverse(engine.idle_for()));
        let mut taken: u64 = others.iter().map(|engine| engine.terms().bytes).sum();
        let is_tight = |taken: u64| {
            let free = free_memory();
            taken + wanted.bytes > self.limit_bytes || (free > 0 && wanted.bytes > free)
        };
        let mut at_work = Vec::new();
        for engine in others.iter().filter(|_| wanted.bytes > 0) {
            if !is_tight(taken) {
                break;
            }
            if engine.unload() {
                taken -= engine.terms().bytes;
            } else {
                at_work.push(engine.terms().name.as_str());
            }
        }
        let mib = |bytes: u64| bytes >> 20;
        if wanted.bytes > 0 && taken + wanted.bytes > self.limit_bytes {
            let beside =
                if at_work.is_empty() { String::new() } else { format!(" beside {}", at_work.join(", ")) };
            return Err(EngineError::Load {
                model: wanted.name.clone(),
                reason: format!(
                    "it needs {} MiB{beside}, and all models together may take {}; use a smaller model, or \
                     raise loaded_max_mib in the settings",
                    mib(wanted.bytes),
                    mib(self.limit_bytes)
                ),
            });
        }
        Ok(())
    }
}

impl<T: ?Sized + Send + Sync> Pooled for Held<T> {
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn is_loaded(&self) -> bool {
        lock(&self.state).model.is_some()
    }

    fn idle_for(&self) -> Duration {
        lock(&self.state).used.elapsed()
    }

    fn unload(&self) -> bool {
        let mut state = lock(&self.state);
        // The state holds one; every caller at work another.
        if state.model.as_ref().is_some_and(|model| Arc::strong_count(model) > 1) {
            return false;
        }
        if let Some(model) = state.model.take() {
            (self.before_unload)(&model);
        }
        true
    }
}

impl<T: ?Sized> Held<T> {
    /// The model, loaded if it is not; one that was loaded now is checked.
    fn model(&self, check: impl FnOnce(&T) -> Result<(), EngineError>) -> Result<Arc<T>, EngineError> {
        let here = |state: &mut State<T>| {
            state.used = Instant::now();
            state.model.clone()
        };
        if let Some(model) = here(&mut lock(&self.state)) {
            return Ok(model);
        }
        let _one = lock(&self.pool.loading);
        if let Some(model) = here(&mut lock(&self.state)) {
            return Ok(model);
        }
        self.pool.make_room(&self.terms)?;
        let model = (self.load)()?;
        check(&model)?;
        lock(&self.state).model = Some(Arc::clone(&model));
        Ok(model)
    }

    /// Does something with the model, during which it is not let go of.
    fn with<R>(
        &self,
        check: impl FnOnce(&T) -> Result<(), EngineError>,
        act: impl FnOnce(&T) -> R,
    ) -> Result<R, EngineError> {
        let model = self.model(check)?;
        let done = act(model.as_ref());
        drop(model);
        lock(&self.state).used = Instant::now();
        Ok(done)
    }

    /// Does something with the model if it is loaded.
    fn if_loaded(&self, act: impl FnOnce(&T)) {
        let model = lock(&self.state).model.clone();
        if let Some(model) = model {
            act(model.as_ref());
        }
    }
}

impl OnDemand {
    fn with<R>(&self, act: impl FnOnce(&(dyn Engine + 'static)) -> R) -> Result<R, EngineError> {
        self.held.with(|engine| self.check(engine), act)
    }

    /// Makes sure that the engine which was loaded again is the one that it was.
    fn check(&self, engine: &dyn Engine) -> Result<(), EngineError> {
        let now = engine.info();
        if (now.n_ctx, &now.model) == (self.info.n_ctx, &self.info.model) {
            return Ok(());
        }
        Err(EngineError::Load {
            model: self.held.terms.name.clone(),
            reason: format!(
                "it was {} with a window of {} tokens and is now {} with {}; start lucid anew",
                self.info.model, self.info.n_ctx, now.model, now.n_ctx
            ),
        })
    }
}

impl Embedder for Vectors {
    fn model(&self) -> String {
        self.held.terms.name.clone()
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError> {
        let check = |model: &(dyn Embedder + 'static)| {
            if model.dimensions() == self.dimensions {
                return Ok(());
            }
            Err(EngineError::Load {
                model: self.held.terms.name.clone(),
                reason: format!(
                    "its vectors have {} numbers where {} were expected",
                    model.dimensions(),
                    self.dimensions
                ),
            })
        };
        self.held.with(check, |model| model.embed(texts))?
    }
}

impl Engine for OnDemand {
    fn info(&self) -> EngineInfo {
        let mut info = self.info.clone();
        self.held.if_loaded(|engine| info = engine.info());
        info
    }

    fn chat_template(&self) -> ChatTemplate {
        self.template.clone()
    }

    fn tokenize(&self, text: &str, special: bool) -> Result<Vec<Token>, EngineError> {
        self.with(|engine| engine.tokenize(text, special))?
    }

    fn detokenize(&self, tokens: &[Token]) -> Result<String, EngineError> {
        self.with(|engine| engine.detokenize(tokens))?
    }

    fn decode(
        &self,
        request: &DecodeRequest,
        cancel: &CancelFlag,
        on_delta: &mut dyn FnMut(Delta),
    ) -> Result<Decoded, EngineError> {
        self.with(|engine| engine.decode(request, cancel, on_delta))?
    }

    fn settle(&self) {
        self.held.if_loaded(|engine| engine.settle());
    }

    fn keep(&self) {
        self.held.if_loaded(|engine| engine.keep());
    }

    fn forget(&self) {
        self.held.if_loaded(|engine| engine.forget());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use lucid_engine::{Pace, Scripted};
    use lucid_kernel::abi::{Sampling, Segment};

    use super::*;

    /// An engine that takes this part of the limit, and how often it was loaded.
    fn scripted(
        pool: &Arc<Pool>,
        name: &str,
        bytes: u64,
        unload_after: Option<Duration>,
    ) -> (Result<Arc<dyn Engine>, EngineError>, Arc<AtomicUsize>) {
        let loads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&loads);
        let load: Load<dyn Engine> = Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let pace =
                Pace { prefill_per_token: Duration::ZERO, decode_per_token: Duration::from_millis(20) };
            Ok(Arc::new(Scripted::with(|_, _| Ok("word ".repeat(20))).pace(pace)))
        });
        (pool.open(Terms { name: name.into(), bytes, unload_after }, load), loads)
    }

    fn decode(engine: &dyn Engine) -> Decoded {
        let tokens = engine.tokenize("Say something.", true).unwrap().into();
        let request = DecodeRequest {
            layout: vec![Segment { page: None, tokens }],
            grammar: None,
            sampling: Sampling::default(),
            max_tokens: 30,
        };
        engine.decode(&request, &CancelFlag::new(), &mut |_| ()).unwrap()
    }

    fn wait_until(what: impl Fn() -> bool) {
        let began = Instant::now();
        while !what() {
            assert!(began.elapsed() < Duration::from_secs(20), "it never came");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn an_idle_engine_is_let_go_of_and_comes_back() {
        let pool = Pool::new(100);
        let (engine, loads) = scripted(&pool, "quick", 10, Some(Duration::from_millis(50)));
        let engine = engine.unwrap();
        decode(engine.as_ref());
        assert_eq!(pool.loaded(), ["quick"]);
        wait_until(|| pool.loaded().is_empty());
        // What is known of it needs no loading.
        assert_eq!(engine.info().engine, "scripted");
        assert_eq!(loads.load(Ordering::Relaxed), 1);
        assert!(!decode(engine.as_ref()).text.is_empty());
        assert_eq!(loads.load(Ordering::Relaxed), 2);
    }

    /// Vectors of one number.
    struct Length;

    impl Embedder for Length {
        fn model(&self) -> String {
            "length".into()
        }

        fn dimensions(&self) -> usize {
            1
        }

        fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError> {
            Ok(texts.iter().map(|text| vec![text.len() as f32]).collect())
        }
    }

    #[test]
    fn what_makes_vectors_is_loaded_when_they_are_wanted_and_shares_the_memory() {
        let pool = Pool::new(100);
        let terms = |bytes| Terms { name: "length".into(), bytes, unload_after: None };
        let load = || -> Load<dyn Embedder> { Box::new(|| Ok(Arc::new(Length))) };
        let embedder = pool.open_embedder(terms(60), 1, load());
        assert!(pool.loaded().is_empty());
        assert_eq!(embedder.embed(&["abc"]).unwrap(), [[3.0]]);
        assert_eq!(pool.loaded(), ["length"]);
        let (engine, _) = scripted(&pool, "engine", 50, None);
        let engine = engine.unwrap();
        assert_eq!(pool.loaded(), ["engine"]);
        assert_eq!(embedder.embed(&["ab"]).unwrap(), [[2.0]]);
        assert_eq!(pool.loaded(), ["length"]);
        assert!(!decode(engine.as_ref()).text.is_empty());
        let other = pool.open_embedder(terms(1), 2, load());
        assert!(other.embed(&["a"]).unwrap_err().to_string().contains("1 numbers where 2 were expected"));
    }

    #[test]
    fn who_was_used_longest_ago_makes_room_and_who_works_does_not() {
        let pool = Pool::new(100);
        let (first, _) = scripted(&pool, "first", 50, None);
        let (second, _) = scripted(&pool, "second", 40, None);
        let (first, second) = (first.unwrap(), second.unwrap());
        decode(first.as_ref());
        let (third, _) = scripted(&pool, "third", 40, None);
        let third = third.unwrap();
        assert_eq!(pool.loaded(), ["first", "third"]);
        // The second comes back in place of the first, which is idle longer than the third.
        decode(third.as_ref());
        decode(second.as_ref());
        assert_eq!(pool.loaded(), ["second", "third"]);
        let begun = AtomicBool::new(false);
        let (begun, third) = (&begun, &third);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let tokens = third.tokenize("Go.", true).unwrap().into();
                let request = DecodeRequest {
                    layout: vec![Segment { page: None, tokens }],
                    grammar: None,
                    sampling: Sampling::default(),
                    max_tokens: 60,
                };
                let mut on_delta = |_| begun.store(true, Ordering::Relaxed);
                third.decode(&request, &CancelFlag::new(), &mut on_delta).unwrap();
            });
            wait_until(|| begun.load(Ordering::Relaxed));
            let (refused, loads) = scripted(&pool, "large", 90, None);
            let error = refused.err().unwrap().to_string();
            assert!(error.contains("beside third") && error.contains("loaded_max_mib"), "{error}");
            assert_eq!(loads.load(Ordering::Relaxed), 0);
        });
        let (large, _) = scripted(&pool, "large", 90, None);
        assert!(large.is_ok());
        assert_eq!(pool.loaded(), ["large"]);
        // One that runs elsewhere takes nothing.
        assert!(scripted(&pool, "far", 0, None).0.is_ok());
        let (refused, _) = scripted(&pool, "huge", 101, None);
        assert!(refused.is_err());
    }
}
