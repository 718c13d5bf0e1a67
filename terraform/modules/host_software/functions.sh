# imds PATH: what the metadata service (IMDSv2) says, or nothing where there is none.
imds() {
  local token
  token=$(curl --silent --fail --max-time 2 --retry 5 --request PUT \
    --header 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
  curl --silent --fail --max-time 2 --retry 2 --header "X-aws-ec2-metadata-token: $token" \
    "http://169.254.169.254/latest/$1" || return 0
}

# secret ARN: the text of a secret of Secrets Manager. It fails where the secret is empty or may not be read.
secret() {
  aws secretsmanager get-secret-value --secret-id "$1" --query SecretString --output text
}

# put_file PATH: standard input as a file that root and the group patchbay alone can read, in one step.
put_file() {
  local new
  new=$(mktemp "$1.XXXXXX")
  cat > "$new"
  chmod 0640 "$new"
  chown root:patchbay "$new"
  mv --force "$new" "$1"
}
