/** Bounds what all observation together may hold in memory, however many answers are under way. */

export class Allowance {
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  /** False, and nothing taken, when there is not enough. What was taken must be given back. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  giveBack(bytes: number): void {
    this.#left += bytes
  }
}
