/** How much of the skill under `open` a profile keeps, from what `bench:outcomes` has printed. */
import type { ProfileName } from '../../router/disclosure.ts'

export interface SkillKept {
  bss_kept: number
  bss_kept_tagged: number
}

/** @param printed ends with a line of JSON that holds `profiles.<name>.bss` and `bss_tagged` */
export function skillKept(printed: string): Record<ProfileName, SkillKept> {
  const { profiles } = JSON.parse(printed.trimEnd().split('\n').at(-1) ?? '') as {
    profiles: Record<ProfileName, { bss: number; bss_tagged: number }>
  }
  const of = (name: ProfileName): SkillKept => ({
    bss_kept: profiles[name].bss / profiles.open.bss,
    bss_kept_tagged: profiles[name].bss_tagged / profiles.open.bss_tagged,
  })
  return { open: of('open'), standard: of('standard'), clinical: of('clinical') }
}
