//! Engines that are loaded when they are needed and let go of when they are not: after a while
//! without work, or when another one needs the memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use lucid_kernel::abi::{Decoded, EngineInfo, Token};
use lucid_kernel::port::{CancelFlag, ChatTemplate, DecodeRequest, Delta, Engine, EngineError};
use lucid_model::load::free_memory;

/// How often the pool looks for engines that nobody uses.
const LOOK: Duration = Duration::from_millis(500);

/// Loads an engine.
pub type Load = Box<dyn Fn() -> Result<Arc<dyn Engine>, EngineError> + Send + Sync>;

/// The engines of a process, and how much of the memory they may take together.
#[derive(Debug)]
pub struct Pool {
    /// The most memory of all loaded models, in bytes.
    limit_bytes: u64,
    engines: Mutex<Vec<Weak<OnDemand>>>,
    /// Only one engine is loaded at a time.
    loading: Mutex<()>,
}

/// What the pool knows of an engine.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Its name, for people.
    pub name: String,
    /// The memory that it needs, in bytes; 0 when it runs elsewhere.
    pub bytes: u64,
    /// It is let go of after so long without work; never when none.
    pub unload_after: Option<Duration>,
}

/// An engine that is loaded on demand. Its name, window and template stay known while it is not.
pub struct OnDemand {
    pool: Arc<Pool>,
    terms: Terms,
    load: Load,
    state: Mutex<State>,
    info: EngineInfo,
    template: ChatTemplate,
}

struct State {
    engine: Option<Arc<dyn Engine>>,
    used: Instant,
}

impl std::fmt::Debug for OnDemand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnDemand").field("terms", &self.terms).finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool of engines that together take at most so much memory, in bytes.
    pub fn new(limit_bytes: u64) -> Arc<Self> {
        let pool = Arc::new(Self { limit_bytes, engines: Mutex::default(), loading: Mutex::default() });
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
    /// engines at work.
    pub fn open(self: &Arc<Self>, terms: Terms, load: Load) -> Result<Arc<dyn Engine>, EngineError> {
        let _one = lock(&self.loading);
        self.make_room(&terms)?;
        let engine = load()?;
        let (info, template) = (engine.info(), engine.chat_template());
        let state = Mutex::new(State { engine: Some(engine), used: Instant::now() });
        let opened = Arc::new(OnDemand { pool: Arc::clone(self), terms, load, state, info, template });
        let mut engines = lock(&self.engines);
        engines.retain(|engine| engine.strong_count() > 0);
        engines.push(Arc::downgrade(&opened));
        Ok(opened)
    }

    /// The names of the engines that are loaded now.
    #[cfg(test)]
    fn loaded(&self) -> Vec<String> {
        self.all()
            .iter()
            .filter(|engine| engine.is_loaded())
            .map(|engine| engine.terms.name.clone())
            .collect()
    }

    fn all(&self) -> Vec<Arc<OnDemand>> {
        lock(&self.engines).iter().filter_map(Weak::upgrade).collect()
    }

    fn unload_idle(&self) {
        for engine in self.all() {
            if engine.terms.unload_after.is_some_and(|after| engine.idle_for() >= after) {
                engine.unload();
            }
        }
    }

    /// Lets go of engines without work, the one that was used longest ago first, until the memory
    /// suffices for one more.
    fn make_room(&self, wanted: &Terms) -> Result<(), EngineError> {
        let mut others = self.all();
        others.retain(|engine| engine.is_loaded() && engine.terms.bytes > 0);
        others.sort_by_key(|engine| std::cmp::Reverse(engine.idle_for()));
        let mut taken: u64 = others.iter().map(|engine| engine.terms.bytes).sum();
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
                taken -= engine.terms.bytes;
            } else {
                at_work.push(engine.terms.name.as_str());
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

impl OnDemand {
    fn is_loaded(&self) -> bool {
        lock(&self.state).engine.is_some()
    }

    fn idle_for(&self) -> Duration {
        lock(&self.state).used.elapsed()
    }

    /// Lets go of the engine, unless it is at work. What it has computed is kept where it can be.
    fn unload(&self) -> bool {
        let mut state = lock(&self.state);
        // The state holds one; every caller at work another.
        if state.engine.as_ref().is_some_and(|engine| Arc::strong_count(engine) > 1) {
            return false;
        }
        if let Some(engine) = state.engine.take() {
            engine.keep();
        }
        true
    }

    /// The engine, loaded if it is not.
    fn engine(&self) -> Result<Arc<dyn Engine>, EngineError> {
        let here = |state: &mut State| {
            state.used = Instant::now();
            state.engine.clone()
        };
        if let Some(engine) = here(&mut lock(&self.state)) {
            return Ok(engine);
        }
        let _one = lock(&self.pool.loading);
        if let Some(engine) = here(&mut lock(&self.state)) {
            return Ok(engine);
        }
        self.pool.make_room(&self.terms)?;
        let engine = (self.load)()?;
        let now = engine.info();
        if (now.n_ctx, &now.model) != (self.info.n_ctx, &self.info.model) {
            return Err(EngineError::Load {
                model: self.terms.name.clone(),
                reason: format!(
                    "it was {} with a window of {} tokens and is now {} with {}; start lucid anew",
                    self.info.model, self.info.n_ctx, now.model, now.n_ctx
                ),
            });
        }
        lock(&self.state).engine = Some(Arc::clone(&engine));
        Ok(engine)
    }

    /// Does something with the engine, during which it is not let go of.
    fn with<T>(&self, act: impl FnOnce(&dyn Engine) -> T) -> Result<T, EngineError> {
        let engine = self.engine()?;
        let done = act(engine.as_ref());
        drop(engine);
        lock(&self.state).used = Instant::now();
        Ok(done)
    }

    /// Does something with the engine if it is loaded.
    fn if_loaded(&self, act: impl FnOnce(&dyn Engine)) {
        let engine = lock(&self.state).engine.clone();
        if let Some(engine) = engine {
            act(engine.as_ref());
        }
    }
}

impl Engine for OnDemand {
    fn info(&self) -> EngineInfo {
        let mut info = self.info.clone();
        self.if_loaded(|engine| info = engine.info());
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
        self.if_loaded(|engine| engine.settle());
    }

    fn keep(&self) {
        self.if_loaded(|engine| engine.keep());
    }

    fn forget(&self) {
        self.if_loaded(|engine| engine.forget());
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
        let load: Load = Box::new(move || {
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
