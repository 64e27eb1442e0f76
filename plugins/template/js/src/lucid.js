// The small layer between a plugin's functions and the component that they become.
// `lucid plugin build` writes the code that calls it, from `wit/world.wit`.

/**
 * The function of the component for the plugin's function of this name.
 *
 * What it throws becomes the error that the model reads, where its type in WIT is
 * `result<_, string>`. Elsewhere `report`, if there is one, shows what it was and the call ends.
 */
export function tool(plugin, name, failure, report) {
  const run = plugin[name];
  if (typeof run !== "function") {
    throw new Error(`src/plugin.js exports no function ${name}, but wit/world.wit does`);
  }
  return (...values) => {
    try {
      const result = run(...values);
      if (result instanceof Promise) {
        throw new Error(`${name} gives a promise; a tool cannot wait, so it must not be async`);
      }
      return result;
    } catch (thrown) {
      if (failure === "text") {
        throw words(thrown);
      }
      if (failure === "value" && !(thrown instanceof Error)) {
        throw thrown;
      }
      report?.(words(thrown));
      throw thrown;
    }
  };
}

/**
 * Draws `Math.random` from the host's random bytes. The engine's own numbers would be the same
 * in every call, because each call begins from the same memory.
 */
export function drawFrom(getRandomBytes) {
  Math.random = () => Array.from(getRandomBytes(6)).reduce((sum, byte) => (sum + byte) / 256, 0);
}

function words(thrown) {
  return thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
}
