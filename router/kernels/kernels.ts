/**
 * The two innermost loops in WebAssembly, because JavaScript has no SIMD: a fresh question pays them each time.
 * `<name>.wasm` is `<name>.wat` compiled by `npm run kernels`.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What Node has on board of WebAssembly's types is in the DOM's library, which this project does without. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { exports: unknown }
}

export interface Memory {
  readonly buffer: ArrayBuffer
  /** @param pages of 64 KiB */
  grow(pages: number): number
}

export interface DotsKernel {
  readonly memory: Memory
  dots(vector: number, size: number, rows: number, count: number, out: number): void
}

export interface ScanKernel {
  readonly memory: Memory
  scan(block: number, end: number, table: number, scale: number, base: number, least: number, out: number): number
}

const PAGE_BYTES = 65_536

/** Each with a memory of its own. */
export const newDotsKernel = loader<DotsKernel>('dots')
export const newScanKernel = loader<ScanKernel>('scan')

/** Makes sure that there are `bytes` of memory. */
export function ensureMemory(memory: Memory, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES))
}

function loader<T>(name: string): () => T {
  let module: object | undefined
  return () => {
    module ??= new WebAssembly.Module(readFileSync(join(import.meta.dirname, `${name}.wasm`)))
    return new WebAssembly.Instance(module).exports as T
  }
}
