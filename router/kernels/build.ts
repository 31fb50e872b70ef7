/** Compiles the kernels: `npm run kernels`. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import wabt from 'wabt'

export const KERNELS = ['dots', 'scan'] as const

/** The bytes that `<name>.wat` stands for. */
export async function compileKernel(name: (typeof KERNELS)[number]): Promise<Uint8Array> {
  const { parseWat } = await wabt()
  const file = join(import.meta.dirname, `${name}.wat`)
  const module = parseWat(file, await readFile(file, 'utf8'), { simd: true })
  try {
    module.validate()
    return module.toBinary({}).buffer
  } finally {
    module.destroy()
  }
}

if (import.meta.main) {
  for (const name of KERNELS) await writeFile(join(import.meta.dirname, `${name}.wasm`), await compileKernel(name))
}
