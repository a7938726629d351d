/** Which room may lean on which. Each rule is a sentence; `scripts/check-boundaries.mjs` runs them. */
const workspace = (name) => `^${name}/src`
const tests = '\\.test\\.ts$|/testing/|/contract[a-z-]*\\.ts$'

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    // Types may name each other; code that runs may not.
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    { name: 'everything-resolves', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'shared-leans-on-nobody',
      severity: 'error',
      from: { path: workspace('shared') },
      to: { path: '^(control-plane|agent|cli|test)/' }
    },
    {
      name: 'the-agent-knows-no-control-plane',
      severity: 'error',
      from: { path: workspace('agent'), pathNot: tests },
      to: { path: '^(control-plane|cli|test)/' }
    },
    {
      name: 'the-control-plane-knows-no-agent',
      severity: 'error',
      from: { path: workspace('control-plane'), pathNot: tests },
      to: { path: '^(agent|cli|test)/' }
    },
    {
      name: 'the-cli-knows-only-shared',
      severity: 'error',
      from: { path: workspace('cli'), pathNot: tests },
      to: { path: '^(control-plane|agent|test)/' }
    },
    {
      name: 'rules-and-plans-cannot-wait-fail-or-tell-the-time',
      severity: 'error',
      from: { path: '/(rules|plan|placement|render)\\.ts$' },
      to: {
        path: '^(fs|net|http|https|child_process|timers|worker_threads|dns|tls)(/|$)|/(store|service|routes|controller|database)\\.ts$|drizzle-orm|node_modules/pg/'
      }
    },
    {
      name: 'stores-know-no-service-and-no-route',
      severity: 'error',
      from: { path: '/store\\.ts$' },
      to: { path: '/(service|routes|controller)\\.ts$' }
    },
    { name: 'services-know-no-route', severity: 'error', from: { path: '/service\\.ts$' }, to: { path: '/routes\\.ts$' } },
    {
      name: 'routes-reach-the-database-through-services',
      severity: 'error',
      from: { path: '/routes\\.ts$' },
      to: { path: '/store\\.ts$' }
    },
    {
      name: 'only-the-provisioner-holds-the-cloud',
      severity: 'error',
      from: { path: '^control-plane/src/(?!cloud/|provisioner/|local/)', pathNot: tests },
      to: { path: '^control-plane/src/cloud/' }
    },
    {
      name: 'in-the-agent-only-host-and-keeper-run-programs',
      severity: 'error',
      from: { path: '^agent/src/(?!host/|keeper/|builds/|isolation/)', pathNot: tests },
      to: { path: '^child_process$' }
    },
    {
      name: 'no-test-code-in-the-product',
      severity: 'error',
      from: { path: '/src/', pathNot: `${tests}|^test/` },
      to: { path: tests }
    }
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)fixtures/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.js', '.json']
    }
  }
}
