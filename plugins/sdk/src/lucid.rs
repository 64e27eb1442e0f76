//! The small layer between a plugin's functions and the component that they become.
//!
//! A plugin declares its functions twice: their types in `wit/world.wit`, where the doc
//! comments are what the model reads, and their bodies in [`plugin!`], at the root of the
//! crate. The compiler checks that both agree.

use std::sync::Once;

#[doc(hidden)]
pub use wit_bindgen;
#[doc(hidden)]
pub use wit_bindgen::rt;

/// Makes the functions in it the exports of the world in `wit/`.
///
/// Use it once, at the root of the crate. The functions stay ordinary functions beside it,
/// so that tests call them. A `Result<_, String>` is the usual result: the model reads the
/// error and can try again. A panic ends the call; its message is shown to the model.
///
/// ```ignore
/// plugin! {
///     fn greet(name: String) -> Result<String, String> {
///         Ok(format!("Hello, {name}!"))
///     }
/// }
/// ```
#[macro_export]
macro_rules! plugin {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block)+) => {
        #[doc(hidden)]
        pub use $crate::lucid::rt as __lucid_rt;

        /// Generated from `wit/`: the types of the world and the glue to the host.
        #[allow(unsafe_code, missing_docs, unused, clippy::all)]
        pub mod bindings {
            $crate::lucid::wit_bindgen::generate!({
                path: "wit",
                runtime_path: "crate::__lucid_rt",
                generate_all,
            });

            /// Carries the exports.
            pub struct Plugin;

            // On a machine they would take the place of functions of the C library, such as `read`.
            #[cfg(target_family = "wasm")]
            export!(Plugin with_types_in self);
        }

        #[allow(unused_imports)]
        use bindings::*;

        impl bindings::Guest for bindings::Plugin {
            $(
                fn $name($($arg: $ty),*) $(-> $ret)? {
                    $crate::lucid::report_panics(bindings::lucid::tool::diagnostics::report);
                    $name($($arg),*)
                }
            )+
        }

        $($(#[$meta])* fn $name($($arg: $ty),*) $(-> $ret)? $body)+
    };
}

/// Sends the message of a panic to the host before the call ends.
#[doc(hidden)]
pub fn report_panics(report: fn(&str)) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(move |panic| report(&panic.to_string()))));
}
