from consul import Consul
consul = Consul()
consul.agent.service.register('test', '127.0.0.1:8500')   # service "test" at 127.0.0.1 port 8500
consul.agent.service.deregister('test')
