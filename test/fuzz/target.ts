/** What can be fuzzed: something that inputs can be made for, and that can be told what is wrong with it. */
import type { Dice } from './dice.ts'

export interface Target<Input> extends AsyncDisposable {
  /** Of JSON's kinds, so that it can be kept. */
  make(dice: Dice): Input
  /** Undefined when all is well; else what is not. May reject, which is a fault too. */
  examine(input: Input): Promise<string | undefined>
}

/** One whose inputs are nobody else's business, since it makes them itself, or kept ones were made by it. */
export async function untyped<Input>(create: () => Target<Input> | Promise<Target<Input>>): Promise<Target<unknown>> {
  const target = await create()
  return {
    make: dice => target.make(dice),
    examine: input => target.examine(input as Input),
    [Symbol.asyncDispose]: () => target[Symbol.asyncDispose](),
  }
}
