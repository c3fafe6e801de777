from consul import Consul
consul = Consul()
for name, needs in {'web': ['api'], 'api': ['db', 'cache?'], 'db': []}.items():
    alive = {'ttl': '10m', 'status': 'passing'}          # any check of Consul's does
    consul.agent.service.register(name, check=alive, depends_on=needs)
print('start', consul.coord.start_order())
before = consul.coord.graph()
consul.agent.check.ttl_fail('service:db', 'killed')
for each in consul.coord.graph(index=before.index)['Services']:
    print(each['Name'], 'is', each['EffectiveStatus'], 'because of', each['Because'] or 'itself')
