/** Settings, right and wrong: each is read, or refused in one sentence that names it and repeats no secret. */
import { ConfigInvalidError, environmentVariables, readConfig } from '../../proxy/config.ts'
import type { Dice } from './dice.ts'
import type { Target } from './target.ts'

type Environment = Record<string, string>

const VALUES = [
  '',
  ' ',
  '0',
  '1',
  '-1',
  '1.5',
  '1e9',
  'NaN',
  '99999999999999999999',
  'on',
  'off',
  'share',
  'open',
  'standard',
  'all',
  ',',
  ',,',
  'a,b',
  '127.0.0.1:0',
  '0.0.0.0:1',
  '[::]:1',
  '[::1]:65536',
  ':',
  '[',
  'http://a',
  'http://a/v1',
  'https://u:p@a:1/v1/',
  'http://a m1 m2, http://b',
  'file:',
  'file:/nowhere',
  'sha256:',
  `sha256:${'a'.repeat(64)}`,
  'x user',
  'https://chat.example',
  '*',
  'localhost',
  '/ip4/1.2.3.4/tcp/1',
  '\u0000',
  'é',
  '𝄞',
  '__proto__',
  'constructor',
  'static',
  'minilm',
  'transformers',
  'empty,cut',
  'a'.repeat(100_000),
  ' '.repeat(50_000),
  ','.repeat(50_000),
  'http://'.repeat(10_000),
  `${'a.'.repeat(20_000)}b`,
  '[['.repeat(20_000),
  'clinical=1',
  'a:b:c',
  '0x10',
  '١',
] as const
const SECRET = 'hunter2-is-a-secret'
const SLOW_MS = 250
const TRIES = 5

export function configTarget(): Target<Environment> {
  return {
    make(dice) {
      const count = 1 + dice.below(4)
      return Object.fromEntries(
        Array.from({ length: count }, () => {
          const name = dice.pick(environmentVariables as readonly [string, ...string[]])
          return [name, valueFor(name, dice)]
        }),
      )
    },
    async examine(environment) {
      let least = Number.POSITIVE_INFINITY
      // More than once, to tell a slow input from a pause of the machine.
      for (let times = 0; times < TRIES && least > SLOW_MS; times++) {
        const begun = performance.now()
        const fault = faultOf(environment)
        if (fault !== undefined) return fault
        least = Math.min(least, performance.now() - begun)
      }
      return least > SLOW_MS ? `it took ${Math.round(least)} ms` : undefined
    },
    async [Symbol.asyncDispose]() {},
  }
}

function faultOf(environment: Environment): string | undefined {
  try {
    readConfig(environment)
  } catch (error) {
    if (!(error instanceof ConfigInvalidError))
      return `it threw ${error instanceof Error ? error.stack : String(error)}`
    if (!/QIS_|OTEL_/.test(error.message)) return `it does not say which: ${error.message.slice(0, 200)}`
    if (error.message.includes(SECRET)) return `it repeats a secret: ${error.message.slice(0, 200)}`
  }
  return undefined
}

function valueFor(name: string, dice: Dice): string {
  if (name.endsWith('_TOKEN'))
    return dice.pick([SECRET, `${SECRET} x`, `${SECRET}\u0000`, `sha256:${SECRET}`, ...VALUES])
  if (dice.oneIn(4)) return dice.pick(VALUES) + dice.pick([',', ' ', ':', '/', '@', '='] as const) + dice.pick(VALUES)
  return dice.oneIn(10) ? dice.bytes(dice.below(30)).toString('latin1') : dice.pick(VALUES)
}
