/** Whether the settings can be read, and whether some are only nearly settings. */

import { nearestName } from '../../proxy/config/nearest-name.ts'
import { type Config, environmentVariables, readConfig, unknownVariables } from '../../proxy/config.ts'
import { about, type Finding } from './finding.ts'

const settings = about('settings')

/** `config`: undefined when there is none to go on with. */
export function checkSettings(env: NodeJS.ProcessEnv): { config: Config | undefined; findings: Finding[] } {
  const misspelt = unknownVariables(env).map(name => {
    const nearest = nearestName(name, environmentVariables)
    return settings.warning(
      `${name} is no setting, and has no effect`,
      nearest === undefined ? 'qis start --help lists those there are' : `did you mean ${nearest}?`,
    )
  })
  try {
    const config = readConfig(env)
    const { mode, profile, embedder } = config
    return { config, findings: [settings.ok(`mode ${mode}, profile ${profile}, embedder ${embedder}`), ...misspelt] }
  } catch (error) {
    return { config: undefined, findings: [settings.failed(error), ...misspelt] }
  }
}
