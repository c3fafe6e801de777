from zk import ZK
zk = ZK('localhost:2181')
zk.create('/test', b'data', ephemeral=True)
zk.get('/test')
