#!lua
return {}
